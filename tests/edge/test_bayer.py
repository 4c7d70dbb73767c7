import struct

import pytest
from PIL import Image

from src.edge import ImageError, decode
from src.edge.bayer import is_bayer

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
