"""Tell raw camera pictures: one colour a pixel, which no decoder here turns into RGB."""

from __future__ import annotations

import io
from pathlib import Path

from PIL.TiffImagePlugin import ImageFileDirectory_v2

_PHOTOMETRIC, _CFA, _DNG_VERSION = 262, 32803, 50706


def is_bayer(source: str | Path | bytes) -> bool:
    """Tell whether a file is a TIFF of colour filter array pixels, or a DNG.

    Pillow refuses the one as unknown, and of the other it would give the preview.

    Args:
        source: Path of the file, or its bytes.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
            header = file.read(8)
            if header[2:3] == b"\x2b" or header[3:4] == b"\x2b":  # BigTIFF
                header += file.read(8)
            tags = ImageFileDirectory_v2(header)
            file.seek(tags.next)
            tags.load(file)
            return tags.get(_PHOTOMETRIC) == _CFA or _DNG_VERSION in tags
    except Exception:  # whatever is no TIFF, or a broken one, is for others to name
        return False
