"""Write pictures with their decision in a strip above them."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ..atomic import named, write_bytes
from ..spec import Decision, Measurement
from .decide import Decided
from .frames import Source
from .preprocess import Pixels

log = logging.getLogger(__name__)


class Annotator:
    """Write a copy of every decided picture into a folder, with verdict, label and score in a strip above it."""

    def __init__(self, folder: str, source: Source) -> None:
        """Check that no original is touched.

        Args:
            folder: Where the pictures go; made when it is not there.
            source: Where the originals come from.

        Raises:
            ValueError: The folder holds originals, is searched for them, or cannot be made.
        """
        self.folder = Path(folder)
        if self.folder.is_file():
            raise ValueError(f"annotate={folder} is a file: name a folder")
        if source.holds(self.folder):
            raise ValueError(f"annotate={folder} lies where the pictures of input are: choose a folder outside")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"annotate={folder} cannot be made ({error.strerror}): choose another folder") from error

    def write(self, decided: Decided) -> None:
        """Write the picture as a JPEG, named as the original with `.jpg`; log a warning if that is impossible."""
        original, decision = decided.picture.original, decided.decision
        if original is None or decision is None:
            return
        try:
            path = self.folder / f"{decided.picture.frame.name}.jpg"
            encoded = io.BytesIO()  # Pillow says nothing of a full disk
            draw(original, _said(decision)).save(encoded, "JPEG", quality=90)
            with named(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, encoded.getvalue())
        except OSError as error:  # too large for a JPEG, a full disk, ...: the decision stands
            log.warning("no annotated copy of %s: %s", decided.picture.frame.path, error)


def _said(decision: Decision | Measurement) -> str:
    return decision.text if decision.verdict is None else f"{decision.verdict}: {decision.text}"


def draw(pixels: Pixels, text: str) -> Image.Image:
    """Return a picture with `text` in a black strip above it.

    Args:
        pixels: H x W x 3, uint8, RGB; not changed.
        text: One line.

    Returns:
        The pixels at the bottom left, widened with black where the text is wider.
    """
    height, width = pixels.shape[:2]
    font = ImageFont.load_default(size=max(12, height // 24))
    left, top, right, bottom = (round(side) for side in font.getbbox(text))
    margin = max(2, (bottom - top) // 4)
    strip = bottom - top + 2 * margin
    canvas = Image.new("RGB", (max(width, right - left + 2 * margin), height + strip))
    canvas.paste(Image.fromarray(pixels), (0, strip))
    ImageDraw.Draw(canvas).text((margin - left, margin - top), text, fill="white", font=font)
    return canvas
