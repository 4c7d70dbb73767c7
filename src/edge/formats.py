"""Which files are pictures: what the installed Pillow can read, and why other pictures are not read."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from PIL import Image, ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ..package import install_line
from .silence import pillow_silent

with suppress(ImportError):  # the extra `heif`
    from pillow_heif import register_heif_opener

    register_heif_opener()
Image.init()

_DRAWING = "a drawing, not pixels: export it as PNG"
_RAW = "raw pixels of a camera: convert it to RGB first"
_UNSCALED = "levels without a fixed white: save it with 8 or 16 bits"
_HEIF = f"HEIF: {install_line('heif')}, or save it as JPEG"
_ODD = "no format that Graft reads: save it as PNG"
# Formats with an image MIME type in Pillow, and two without. Of the others some start programs
# (EPS) or open embedded files (IPTC), some lose the scale of their levels (FITS), and some share
# their suffix with files that are no pictures (GBR, PCD).
_FIRST = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_LAX = "TGA"  # it has no magic bytes, so that nearly any bytes may be one: tried last
_BY_SUFFIX = Image.registered_extensions()
_IMAGES = {form for form in Image.OPEN if Image.MIME.get(form, "").startswith("image/") or form in ("DDS", "QOI")}
_NO_IMAGES = {"BUFR", "GBR", "GRIB", "HDF5", "IPTC", "MPEG", "PALM", "PCD", "PDF"}

FORMATS = (*_FIRST, *sorted(_IMAGES - {*_FIRST, _LAX}), _LAX)
IMAGE_SUFFIXES = tuple(
    # MPO is a JPEG with further pictures, and Pillow opens it as one.
    sorted(suffix for suffix, form in _BY_SUFFIX.items() if form in (*FORMATS, "MPO"))
)
_PREFERRED = {"JPEG": ".jpg", "TIFF": ".tif", "PPM": ".ppm", "JPEG2000": ".jp2"}
_UNREAD = {
    **{suffix: _ODD for suffix, form in _BY_SUFFIX.items() if form not in _NO_IMAGES},
    **dict.fromkeys((".heic", ".heics", ".heif", ".heifs", ".hif"), _HEIF),
    **dict.fromkeys((".avif", ".avifs"), "AVIF: it needs Pillow 11.3 or later"),
    **dict.fromkeys((".ai", ".cdr", ".emf", ".eps", ".ps", ".svg", ".svgz", ".wmf"), _DRAWING),
    **dict.fromkeys((".exr", ".fit", ".fits", ".hdr"), _UNSCALED),
    **dict.fromkeys((".jxl", ".jxr", ".wdp", ".hdp", ".bpg", ".jls", ".flif"), _ODD),
    **dict.fromkeys((".djvu", ".psb", ".xcf"), _ODD),
    **dict.fromkeys((".dcm", ".dicom"), "DICOM: export it as PNG or TIFF"),
    **dict.fromkeys(
        ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 .rwl .sr2 "
        ".srf .srw .x3f".split(),
        _RAW,
    ),
}
_PHOTOMETRIC, _CFA, _DNG_VERSION = 262, 32803, 50706  # tags of TIFF, and a value of the first
_MARKS = (  # offset and magic bytes of formats that Pillow alone does not read
    *((4, b"ftyp" + brand, _HEIF) for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")),
    (4, b"ftypavif", _UNREAD[".avif"]),
    (4, b"ftypcrx ", _RAW),
    (0, b"FUJIFILMCCD-RAW", _RAW),
    (0, b"%!PS", _DRAWING),
    (0, b"<svg", _DRAWING),
    (0, b"\x76\x2f\x31\x01", _UNSCALED),  # OpenEXR
    (0, b"#?RADIANCE", _UNSCALED),
    (0, b"SIMPLE  =", _UNSCALED),  # FITS
    (0, b"\0\0\0\x0cJXL ", _UNREAD[".jxl"]),
    (0, b"\xff\x0a", _UNREAD[".jxl"]),
    (0, b"II\xbc\x01", _UNREAD[".jxr"]),
    (0, b"8BPS\0\x02", _UNREAD[".psb"]),
)


def is_picture(name: str) -> bool:
    """Return whether a file name is that of a readable picture, and not hidden."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")


def open_picture(source: str | bytes, name: str = "") -> ImageFile.ImageFile:
    """Open a picture in one of `FORMATS`; the pixels are not read yet.

    The first bytes decide the format, whatever the name. A TGA has no magic bytes, so that a broken file could pass for
    one: it needs the suffix, or, in memory, the footer of newer TGA files.

    Args:
        source: Path of the file, or its bytes.
        name: Name of the file that the bytes are from.

    Raises:
        Exception: As `PIL.Image.open`, and whatever its decoders raise of a broken file.
    """
    told = _BY_SUFFIX.get(os.path.splitext(name or (source if isinstance(source, str) else ""))[1].lower()) == _LAX
    marked = isinstance(source, bytes) and source.endswith(b"TRUEVISION-XFILE.\0")
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    return Image.open(file, formats=FORMATS if told or marked else FORMATS[:-1])


def jpeg2000_bits(image: ImageFile.ImageFile) -> int:
    """Return the bits of a channel of an open JPEG 2000 file; Pillow shifts fewer than 16 up to 16."""
    assert image.fp is not None
    image.fp.seek(0)
    head = image.fp.read(2**20)
    # Behind the marker of the codestream, the sizes and the number of channels.
    place = head.find(b"\xff\x4f\xff\x51") + 42
    return (head[place] & 0x7F) + 1 if 42 <= place < len(head) else 16


def suffix_of(form: str) -> str:
    """Return the usual suffix of a format that Pillow names."""
    own, known = f".{form.lower()}", sorted(suffix for suffix, each in _BY_SUFFIX.items() if each == form)
    return _PREFERRED.get(form, own if own in known or not known else known[0])


def why_unread(path: str | os.PathLike[str]) -> str | None:
    """Return why a regular file is not read although its name or its first bytes say that it is a picture.

    Args:
        path: A file whose name is none of `is_picture`.

    Returns:
        The reason, or None for a file that is no picture, or that cannot be opened.
    """
    reason = _UNREAD.get(os.path.splitext(path)[1].lower())
    if reason is not None:
        return reason
    try:
        with open(path, "rb") as file:
            return unread_kind(file.read(16)) or _misnamed(file)
    except OSError:
        return None


def unread_kind(head: bytes) -> str | None:
    """Return the format of an unreadable file by its first 16 bytes, and what to do about it."""
    return next((reason for place, mark, reason in _MARKS if head[place:].startswith(mark)), None)


def _misnamed(file: IO[bytes]) -> str | None:
    for form in FORMATS[:-1]:  # TGA has no magic bytes
        factory, accept = Image.OPEN[form]
        file.seek(0)
        with (
            pillow_silent(),
            suppress(Exception),
        ):  # a decoder raises whatever a file that is none of its own makes it raise
            if accept is None or accept(file.read(16)):
                file.seek(0)
                factory(file, b"").close()
                return f"{form} by its first bytes: give it a name that ends in {suffix_of(form)}"
    return None


def is_bayer(source: str | Path | bytes) -> bool:
    """Return whether a file is a TIFF of Bayer (colour filter array) pixels, or a DNG.

    Pillow refuses the former as unknown, and returns the preview of the latter.

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
    except Exception:  # no TIFF, or a broken one, of which other errors tell
        return False
