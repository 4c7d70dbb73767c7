import re
import struct
import subprocess
import sys

import pytest
from PIL import Image, UnidentifiedImageError

from src.edge import ImageError, decode
from src.edge.formats import FORMATS, IMAGE_SUFFIXES, is_bayer, is_picture, open_picture, suffix_of, why_unread


def test_what_pillow_calls_an_image_is_read_and_what_starts_programs_is_not():
    assert {".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpg", ".pgm", ".png", ".tga", ".tif", ".webp"} <= {
        *IMAGE_SUFFIXES
    }
    assert not {".eps", ".ps", ".pdf", ".wmf", ".mpg", ".mpeg", ".h5", ".pcd", ".gbr", ".fits"} & {*IMAGE_SUFFIXES}
    assert {"EPS", "IPTC", "WMF"}.isdisjoint(FORMATS) and len(set(FORMATS)) == len(FORMATS)
    assert {suffix_of(form) for form in FORMATS} <= {*IMAGE_SUFFIXES}


def test_hidden_names_are_no_pictures():
    assert is_picture("a.JPG") and is_picture("b.JfIf") and not is_picture("._a.jpg") and not is_picture("a.txt")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.HEIC", b"", r'HEIF: pip install -e "\.\[heif\]"'),
        ("a.dng", b"II*\0", "raw pixels of a camera"),
        ("a.svg", b"<svg/>", "a drawing"),
        ("a.jxl", b"", "no format that Graft reads"),
        ("photo", b"\0\0\0\x1cftypmif1\0\0\0\0", "HEIF"),
        ("a.bin", b"%!PS-Adobe", "a drawing"),
    ],
)
def test_pictures_that_are_not_read_have_a_reason(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    if is_picture(name):
        pytest.skip("a plug-in of Pillow reads it")
    assert re.match(reason, why_unread(tmp_path / name))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp", ".jp2"])
def test_a_picture_without_the_suffix_of_one_is_told_with_a_name_that_works(tmp_path, suffix):
    Image.new("RGB", (9, 9)).save(tmp_path / f"a{suffix}")
    misnamed = (tmp_path / f"a{suffix}").rename(tmp_path / "0001.dat")
    reason = why_unread(misnamed)
    assert reason.endswith(f"by its first bytes: give it a name that ends in {suffix}")
    assert is_picture(f"0001{reason.split()[-1]}")


@pytest.mark.parametrize(
    "content", [b"", b"path,label\n", b"BM is short for bitmap", b"\0" * 400, b"P1 of two parts\n"]
)
def test_other_files_are_no_pictures(tmp_path, content):
    (tmp_path / "notes.txt").write_bytes(content)
    assert why_unread(tmp_path / "notes.txt") is None and why_unread(tmp_path / "gone.txt") is None


def test_what_marks_a_format_decides_before_what_has_no_mark(tmp_path):
    for suffix in (".jpg", ".png", ".tga"):
        Image.new("RGB", (9, 9)).save(tmp_path / f"a{suffix}")
    forms = []
    for suffix in (".jpg", ".png", ".tga"):
        with open_picture(str(tmp_path / f"a{suffix}")) as image:
            forms.append(image.format)
    assert forms == ["JPEG", "PNG", "TGA"]


def test_a_plug_in_adds_its_suffixes():
    """A module called pillow_heif that registers a format, in a process of its own."""
    code = """
import sys, types
from PIL import Image, PngImagePlugin
plug = types.ModuleType("pillow_heif")
def register():
    Image.register_open("HEIF", PngImagePlugin.PngImageFile, lambda head: head[4:8] == b"ftyp")
    Image.register_extensions("HEIF", [".heic"])
    Image.register_mime("HEIF", "image/heif")
plug.register_heif_opener = register
sys.modules["pillow_heif"] = plug
from src.edge.formats import FORMATS, is_picture
assert is_picture("a.heic") and "HEIF" in FORMATS and not is_picture("a.heif")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_bytes_are_no_tga_unless_something_says_so(tmp_path):
    """A broken file of noise would else pass for one."""
    Image.new("RGB", (9, 9), "red").save(tmp_path / "a.tga")
    whole = (tmp_path / "a.tga").read_bytes()
    old = whole[: 18 + 9 * 9 * 3]  # without the mark at the end
    for source, name in ((whole, ""), (old, "x.TGA"), (str(tmp_path / "a.tga"), "")):
        with open_picture(source, name) as image:
            assert image.format == "TGA"
    for source, name in ((old, ""), (old, "x.png")):
        with pytest.raises(UnidentifiedImageError):
            open_picture(source, name)
    (tmp_path / "a.png").write_bytes(old)
    with pytest.raises(UnidentifiedImageError):
        open_picture(str(tmp_path / "a.png"))


SHORT, LONG, BYTE = 3, 4, 1


def tiff(photometric, *more, order="<"):
    """A TIFF of 2 x 2 grey pixels of 8 bits, with one photometric interpretation and more tags."""
    tags = [
        (256, SHORT, 1, 2),
        (257, SHORT, 1, 2),
        (258, SHORT, 1, 8),
        (259, SHORT, 1, 1),
        (262, SHORT, 1, photometric),
    ]
    tags += [(273, LONG, 1, 8), (277, SHORT, 1, 1), (278, SHORT, 1, 2), (279, LONG, 1, 4), *more]
    magic = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 12)
    entries = b""
    for tag, kind, count, value in tags:
        packed = value if isinstance(value, bytes) else struct.pack(order + {SHORT: "H", LONG: "I"}[kind], value)
        entries += struct.pack(order + "HHI", tag, kind, count) + packed.ljust(4, b"\0")
    return magic + b"\0\1\2\3" + struct.pack(order + "H", len(tags)) + entries + b"\0\0\0\0"


DNG = (50706, BYTE, 4, b"\1\4\0\0")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("photometric", "more"), [(32803, ()), (32803, (DNG,)), (1, (DNG,)), (34892, (DNG,))])
def test_raw_pixels_are_refused_even_where_there_is_a_preview(tmp_path, photometric, more, order):
    data = tiff(photometric, *more, order=order)
    (tmp_path / "raw.tif").write_bytes(data)
    for source in (data, tmp_path / "raw.tif", str(tmp_path / "raw.tif")):
        with pytest.raises(ImageError, match=r"a Bayer \(colour filter array\) picture: .*convert it to RGB first"):
            decode(source)


def test_the_same_file_in_grey_is_a_picture():
    assert decode(tiff(1)).tolist() == [[[0] * 3, [1] * 3], [[2] * 3, [3] * 3]]
    assert not is_bayer(tiff(1))


def test_what_is_no_tiff_or_is_cut_is_left_to_others(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", tmp_path / "gone.tif", tmp_path, b"", b"II*", tiff(32803)[:40]):
        assert not is_bayer(source)
    with pytest.raises(ImageError, match="empty, broken or not an image"):
        decode(tiff(32803)[:40])
