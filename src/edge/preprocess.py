"""The one way from an image file to the network's pixels, in training, in evaluation and on the camera."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from ..spec import ImageSpec
from .formats import is_bayer, jpeg2000_bits, open_picture, unread_kind
from .silence import pillow_silent

MAX_PIXELS = 100_000_000

_VARIANTS = ("MPO", "PSD")  # further frames are previews, views or layers of the one picture
_NO_IMAGE = "empty, broken or not an image that Pillow reads"
_BAYER = "a Bayer (colour filter array) picture: its pixels are raw, convert it to RGB first"
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

Pixels = NDArray[np.uint8]


class ImageError(ValueError):
    """A picture cannot be used; the message names it and says why."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture, with facts that only its file holds.

    Attributes:
        pixels: H x W x 3, uint8, RGB, writable.
        mode: Pillow's name for how the file holds its pixels.
        frames: How many pages or frames the file has, of which the pixels are the first.
        brightest: The largest level of grey of more than 8 bits, as stored; 0 for other pixels.
    """

    pixels: Pixels
    mode: str
    frames: int = 1
    brightest: int = 0


def decode(source: str | os.PathLike[str] | bytes, bit_depth: int = 16) -> Pixels:
    """Decode a picture to RGB, as `read_picture`; return the pixels alone, H x W x 3, uint8, writable."""
    return read_picture(source, bit_depth).pixels


def read_picture(source: str | os.PathLike[str] | bytes, bit_depth: int = 16, path: str = "") -> Picture:
    """Decode a picture to RGB, and tell what its file holds.

    The EXIF orientation is applied, transparency is laid on white, grey of more than 8 bits is scaled by one white for
    all pictures and rounded, and the first frame of an animation is taken.

    Args:
        source: Path of an image file, or its bytes.
        bit_depth: White in grey of more than 8 bits is 2**bit_depth - 1; 8 to 16.
        path: The file that the bytes are from.

    Raises:
        ImageError: The file is missing, broken, no image, larger than 100 megapixels, or holds a grey above white.
    """
    name = "picture in memory" if isinstance(source, bytes) else os.fspath(source)
    file = source if isinstance(source, bytes) else name
    with pillow_silent():  # what it warns about is either refused below or does not change a pixel
        try:
            return _open(file, bit_depth, path)
        except Exception as error:  # a decoder raises whatever a broken file makes it raise
            reason = _unidentified(file) if isinstance(error, UnidentifiedImageError) else _reason(error)
            raise ImageError(f"{name}: {reason}") from error


def _open(file: str | bytes, bit_depth: int, name: str) -> Picture:
    with open_picture(file, name) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if image.format == "TIFF" and is_bayer(file):
            raise ImageError(_BAYER)
        mode, stored = image.mode, stored_depth(image, bit_depth)
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode == "F":
            raise ImageError("floating-point pixels have no fixed scale: save it with 8 or 16 bits")
        if image.mode.startswith("I"):
            grey = np.asarray(image)
            pixels, own = scale_grey(grey, stored), stored == bit_depth
            return Picture(pixels, mode, _frames(image), int(grey.max()) if own else 0)
        return Picture(_rgb(image), mode, _frames(image))


def _frames(image: ImageFile.ImageFile) -> int:
    if image.format in _VARIANTS:
        return 1
    with suppress(Exception):  # what follows the first frame may be broken
        return int(getattr(image, "n_frames", 1))
    return 1


def stored_depth(image: ImageFile.ImageFile, bit_depth: int) -> int:
    """Return the depth of the levels that Pillow will give: some that the file names itself are scaled to 16 bits.

    Raises:
        ImageError: Pillow cuts 16-bit channels to their high byte, which holds for a depth of 16 alone.
    """
    codec, _, _, arguments = image.tile[0] if image.tile else ("", None, 0, ())
    grey = image.mode.startswith("I")
    if image.format == "PPM" and image.mode == "I" and isinstance(arguments, tuple):
        return bit_depth if arguments[-1] == 65535 else 16
    bits = jpeg2000_bits(image) if image.format == "JPEG2000" else 16 * (";16" in str(arguments) or codec == "SGI16")
    if bit_depth < 16 and not grey and bits > 8:
        raise ImageError(f"data.bit_depth={bit_depth} is for grey, and this is 16-bit colour: save it with 8 bits")
    return 16 if grey and 8 < bits < 16 else bit_depth


def _rgb(image: Image.Image) -> Pixels:
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))  # which would copy it


def scale_grey(grey: NDArray[Any], bit_depth: int = 16) -> Pixels:
    """Bring grey levels of more than 8 bits to RGB, white to 255, rounded to the nearest.

    Args:
        grey: H x W, whole numbers.
        bit_depth: White is 2**bit_depth - 1; 8 to 16.

    Returns:
        The pixels, H x W x 3, uint8, writable.

    Raises:
        ImageError: There are no pixels, a level is above white, or no level of 16 bits.
    """
    if grey.ndim != 2 or not grey.size:
        raise ImageError(f"a grey picture must be H x W, not {grey.shape}")
    darkest, brightest, white = int(grey.min()), int(grey.max()), 2**bit_depth - 1
    if darkest < 0 or brightest > 65535:
        raise ImageError("32-bit pixels have no fixed scale: save it with 8 or 16 bits")
    if brightest > white:
        raise ImageError(
            f"its brightest pixel is {brightest}, and white is {white} at {bit_depth} bits: "
            f"set data.bit_depth to {brightest.bit_length()} or more"
        )
    # Rounded half up without a float; white is odd, so that no level lies half way.
    levels = (grey.astype(np.uint32) * 510 + white) // (2 * white)
    return np.repeat(levels.astype(np.uint8)[..., None], 3, axis=2)


def _unidentified(file: str | bytes) -> str:
    if is_bayer(file):
        return _BAYER
    with suppress(OSError), io.BytesIO(file) if isinstance(file, bytes) else open(file, "rb") as opened:
        return unread_kind(opened.read(16)) or _NO_IMAGE
    return _NO_IMAGE


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_PIXELS // 1_000_000} megapixels: crop it or scale it down first"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # Other errors come from inside a decoder, and mean nothing to a user.
    if not isinstance(error, (OSError, ImageError, MemoryError)):
        return _NO_IMAGE
    return " ".join(str(error).split()) or type(error).__name__


def resize(pixels: Pixels, spec: ImageSpec) -> Pixels:
    """Resize and crop decoded pixels to the network's input.

    `center` gives the pixels of timm's evaluation transform (`timm.data.create_transform`).

    Args:
        pixels: H x W x 3, uint8, RGB.
        spec: Size, filter and crop.

    Returns:
        The pixels, `spec.size` x 3, uint8, writable.

    Raises:
        ImageError: The array is no picture, or so long and thin that its resized form passes 100 megapixels.
    """
    require_picture(pixels, spec)
    height, width = resized(pixels.shape[0], pixels.shape[1], spec)
    image = Image.fromarray(pixels)
    if image.size != (width, height):
        image = image.resize((width, height), _FILTERS[spec.interpolation])
    top, left = round((height - spec.size[0]) / 2), round((width - spec.size[1]) / 2)
    return np.array(image.crop((left, top, left + spec.size[1], top + spec.size[0])))


def require_picture(pixels: NDArray[Any], spec: ImageSpec) -> None:
    """Refuse what cannot be resized, wherever that is done.

    Raises:
        ImageError: The array is no picture, or so long and thin that its resized form passes 100 megapixels.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ImageError(f"a picture must be H x W x 3 of uint8, not {pixels.shape} of {pixels.dtype}")
    height, width = resized(pixels.shape[0], pixels.shape[1], spec)
    if height * width > MAX_PIXELS:
        raise ImageError(f"{pixels.shape[1]} x {pixels.shape[0]} pixels is too long and thin: crop it first")


def resized(height: int, width: int, spec: ImageSpec) -> tuple[int, int]:
    """Return the height and width of a picture before the crop, rounded where timm and torchvision round."""
    tall, wide = (math.floor(side / spec.crop_pct) for side in spec.size)
    if spec.crop_mode == "squash":
        return tall, wide
    if tall == wide:
        short = min(height, width)
        return int(tall * height / short), int(wide * width / short)
    ratio = min(height / tall, width / wide)
    return round(height / ratio), round(width / ratio)


def load(
    path: str | os.PathLike[str], spec: ImageSpec, fit: Callable[[Pixels, ImageSpec], NDArray[Any]] = resize
) -> NDArray[Any]:
    """Decode the picture at `path` and bring it to the network's input.

    Args:
        path: An image file.
        spec: How the picture becomes the network's input.
        fit: What comes after the decoding; some bundles take something else than resized pixels.

    Returns:
        What `fit` gives: the pixels, `spec.size` x 3, uint8, writable.

    Raises:
        ImageError: The picture cannot be used; the message names the file.
    """
    pixels = decode(path, spec.bit_depth)
    try:
        return fit(pixels, spec)
    except ImageError as error:
        raise ImageError(f"{os.fspath(path)}: {error}") from error
