import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform

from src.edge.formats import IMAGE_SUFFIXES, jpeg2000_bits
from src.edge.preprocess import ImageError, decode, load, read_picture, resize, scale_grey, stored_depth
from src.spec import INTERPOLATIONS, ImageSpec


def spec(size=(8, 8), interpolation="bilinear", crop_pct=1.0, crop_mode="center"):
    return ImageSpec(size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), interpolation, crop_pct, crop_mode)


def noise(*shape, high=256, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def stored(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def empty_png(width, height):
    """A PNG that declares its size and holds no pixels."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


sides = st.integers(1, 70)


@settings(deadline=None, max_examples=150)
@given(
    st.tuples(sides, sides),
    st.tuples(st.integers(1, 40), st.integers(1, 40)) | st.integers(1, 40).map(lambda side: (side, side)),
    st.sampled_from(INTERPOLATIONS),
    st.sampled_from([1.0, 0.95, 0.9, 0.875, 0.5]),
    st.sampled_from(["center", "squash"]),
)
def test_resize_gives_the_pixels_of_timm(shape, size, interpolation, crop_pct, crop_mode):
    pixels = noise(*shape, 3)
    transform = create_transform(
        (3, *size),
        interpolation=interpolation,
        crop_pct=crop_pct,
        crop_mode=crop_mode,
        use_prefetcher=True,
    )
    expected = np.asarray(transform(Image.fromarray(pixels))).transpose(1, 2, 0)
    np.testing.assert_array_equal(resize(pixels, spec(size, interpolation, crop_pct, crop_mode)), expected)


def test_resize_of_the_right_size_changes_nothing():
    pixels = noise(9, 7, 3)
    np.testing.assert_array_equal(resize(pixels, spec((9, 7), "lanczos")), pixels)


@pytest.mark.parametrize(
    "pixels", [noise(4, 4), noise(4, 4, 4), noise(0, 4, 3), noise(4, 4, 3, dtype=np.float32)], ids=str
)
def test_resize_refuses_what_is_no_picture(pixels):
    with pytest.raises(ImageError, match="H x W x 3 of uint8"):
        resize(pixels, spec())


def test_resize_refuses_a_line_that_would_fill_the_memory(tmp_path):
    Image.fromarray(noise(1, 30000, 3)).save(tmp_path / "line.png")
    with pytest.raises(ImageError, match=r"line\.png: 30000 x 1 pixels is too long and thin"):
        load(tmp_path / "line.png", spec((224, 224)))
    assert load(tmp_path / "line.png", spec((224, 224), crop_mode="squash")).shape == (224, 224, 3)


def test_lossless_colour_comes_back_writable(tmp_path):
    pixels = noise(5, 6, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    decoded = decode(tmp_path / "a.png")
    np.testing.assert_array_equal(decoded, pixels)
    np.testing.assert_array_equal(decode((tmp_path / "a.png").read_bytes()), pixels)
    assert decoded.flags.writeable and resize(decoded, spec()).flags.writeable


WRITTEN = [suffix for suffix in IMAGE_SUFFIXES if suffix not in (".psd", ".xbm", ".xpm")]  # Pillow writes no grey there


@pytest.mark.parametrize("suffix", WRITTEN)
def test_every_known_suffix_is_decoded(tmp_path, suffix):
    Image.new("RGB" if suffix == ".qoi" else "L", (5, 6), 77 if suffix != ".qoi" else (77, 77, 77)).save(
        tmp_path / f"a{suffix}"
    )
    assert np.abs(decode(tmp_path / f"a{suffix}").astype(int) - 77).max() <= 1


def test_one_pixel():
    assert resize(decode(stored(Image.new("RGB", (1, 1), (3, 5, 7)))), spec()).tolist() == [[[3, 5, 7]] * 8] * 8


@pytest.mark.parametrize(
    ("mode", "form"), [("1", "PNG"), ("L", "PNG"), ("P", "PNG"), ("CMYK", "JPEG"), ("CMYK", "TIFF")]
)
def test_opaque_modes_become_the_rgb_of_pillow(mode, form):
    data = stored(Image.fromarray(noise(16, 16, 3)).convert(mode), form)
    np.testing.assert_array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_alpha_is_laid_on_white():
    colour, alpha = noise(8, 8, 3), noise(8, 8, 1, seed=1)
    expected = (colour * (alpha / 255) + 255 * (1 - alpha / 255)).round()
    decoded = decode(stored(Image.fromarray(np.concatenate([colour, alpha], axis=2))))
    assert np.abs(decoded - expected).max() <= 1


def test_grey_with_alpha_and_transparent_palette_are_laid_on_white():
    grey = Image.merge("LA", (Image.new("L", (2, 1), 40), Image.fromarray(np.array([[0, 255]], np.uint8))))
    assert decode(stored(grey)).tolist() == [[[255] * 3, [40] * 3]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert decode(stored(palette, transparency=0)).tolist() == [[[255] * 3, [40, 50, 60]]]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_one_scale(form):
    levels = np.concatenate([np.arange(65536), np.arange(65536)[::-1]]).astype(np.uint16).reshape(256, 512)
    expected = np.rint(levels * (255 / 65535)).astype(np.uint8)
    decoded = decode(stored(Image.fromarray(levels), form))
    np.testing.assert_array_equal(decoded, np.repeat(expected[..., None], 3, axis=2))
    dark = decode(stored(Image.fromarray(levels[:1, :200]), form))
    np.testing.assert_array_equal(dark[..., 0], expected[:1, :200])


@pytest.mark.parametrize("depth", [8, 9, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_white_is_the_largest_level_of_the_depth(form, depth):
    white = 2**depth - 1
    levels = np.arange(white + 1, dtype=np.uint16)[None]
    decoded = decode(stored(Image.fromarray(levels), form), depth)
    np.testing.assert_array_equal(decoded[..., 1], np.rint(levels * (255 / white)))
    dark = decode(stored(Image.fromarray(levels[:, :200]), form), depth)  # never by the range of one picture
    np.testing.assert_array_equal(dark, decoded[:, :200])


def test_a_level_above_white_is_named(tmp_path):
    Image.fromarray(np.array([[0, 4096]], np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(
        ImageError, match=r"a\.png: its brightest pixel is 4096, and white is 4095 .*data\.bit_depth to 13"
    ):
        load(tmp_path / "a.png", replace(spec(), bit_depth=12))
    assert decode(tmp_path / "a.png", 13).max() == 128


@pytest.mark.parametrize("suffix", WRITTEN)
def test_pictures_of_8_bits_know_no_depth(tmp_path, suffix):
    Image.fromarray(noise(6, 5, 3) if suffix == ".qoi" else noise(6, 5)).save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(decode(tmp_path / f"a{suffix}", 9), decode(tmp_path / f"a{suffix}"))


def test_a_pgm_that_names_its_white_is_scaled_by_that():
    for depth in (10, 12, 16):
        assert decode(b"P5 2 1 4095\n\x08\x00\x0f\xff", depth).tolist() == [[[128] * 3, [255] * 3]]
        assert decode(b"P2 2 1 1023\n512 1023\n", depth).tolist() == [[[128] * 3, [255] * 3]]
    assert decode(b"P5 2 1 65535\n\x08\x00\x0f\xff", 12).tolist() == [[[128] * 3, [255] * 3]]
    assert decode(b"P2 2 1 65535\n2048 4095\n", 12).tolist() == [[[128] * 3, [255] * 3]]


def deep_colour():
    """A PNG of two pixels with 16 bits a channel."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    pixels = zlib.compress(b"\0" + struct.pack(">6H", 0, 0x8080, 65535, 0x1234, 0, 0))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_16_bit_colour_is_read_by_its_high_byte_and_has_no_other_depth():
    assert decode(deep_colour()).tolist() == [[[0, 128, 255], [0x12, 0, 0]]]
    with pytest.raises(ImageError, match=r"data\.bit_depth=12 is for grey, and this is 16-bit colour"):
        decode(deep_colour(), 12)


def test_grey_arrays_are_scaled_as_files_are():
    levels = noise(5, 7, high=4096, dtype=np.uint16)
    np.testing.assert_array_equal(scale_grey(levels, 12), decode(stored(Image.fromarray(levels)), 12))
    for wrong in (noise(2, 2, 2, dtype=np.uint16), noise(0, 2, dtype=np.uint16)):
        with pytest.raises(ImageError, match="a grey picture must be H x W"):
            scale_grey(wrong)


def test_big_endian_16_bit_grey():
    assert decode(b"P5 2 1 65535\n\x80\x80\xff\xff").tolist() == [[[128] * 3, [255] * 3]]
    tiff = stored(Image.frombytes("I;16B", (2, 1), b"\x80\x80\xff\xff"), "TIFF")
    assert decode(tiff).tolist() == [[[128] * 3, [255] * 3]]


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [(np.full((2, 2), 0.5, np.float32), "floating-point"), (np.full((2, 2), 70000, np.int32), "32-bit")],
)
def test_pixels_without_a_scale_are_refused(pixels, reason):
    with pytest.raises(ImageError, match=f"picture in memory: {reason}.*no fixed scale"):
        decode(stored(Image.fromarray(pixels), "TIFF"))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_exif_orientation_is_applied(form, orientation, turned):
    # Blocks of 16 pixels, so that JPEG keeps them whole.
    pixels = np.kron(noise(2, 3, 1) // 2 + 60, np.ones((16, 16, 1), np.uint8)).repeat(3, axis=2)
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(stored(Image.fromarray(pixels), form, exif=exif))
    assert np.abs(decoded.astype(int) - turned(pixels)).max() <= (2 if form == "JPEG" else 0)


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    for suffix in (".gif", ".webp", ".png", ".tif"):
        options = {"lossless": True} if suffix == ".webp" else {}
        frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:], **options)
        assert decode(tmp_path / f"a{suffix}")[0, 0].tolist() == [255, 0, 0]


whole = stored(Image.fromarray(noise(64, 64, 3)), "JPEG")
BROKEN = {
    "zero.jpg": (b"", "empty, broken or not an image"),
    "text.jpg": (b"not a picture", "empty, broken or not an image"),
    "cut.jpg": (whole[: len(whole) // 2], "truncated"),
    "head.jpg": (whole[:20], "empty, broken or not an image"),
    "cut.png": (stored(Image.fromarray(noise(64, 64, 3)))[:4000], "truncated"),
    "notes.txt": (b"P6 of the notes\nof a meeting", "empty, broken or not an image that Pillow reads"),
    "postscript.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n", "a drawing, not pixels"),
    "square.png": (empty_png(20000, 20000), "more than 100 megapixels"),
    "just.png": (empty_png(10001, 10000), "more than 100 megapixels"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_named_with_the_reason(tmp_path, name):
    data, reason = BROKEN[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError) as caught:
        decode(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ") and reason in message and "\n" not in message


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.png: No such file"):
        decode(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="directory"):
        decode(tmp_path)


def test_pillow_warnings_do_not_refuse_a_good_picture(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode(stored(Image.new("RGB", (15, 10)))).shape == (10, 15, 3)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, len(whole)), st.binary(max_size=40))
def test_damaged_bytes_are_decoded_or_refused(where, damage):
    try:
        assert decode(whole[:where] + damage + whole[where + len(damage) :]).dtype == np.uint8
    except ImageError as error:
        assert str(error).startswith("picture in memory: ")


def test_pages_behind_the_first_are_told_and_previews_are_none(tmp_path):
    frames = [Image.new("RGB", (4, 4), (shade, 0, 0)) for shade in (10, 90, 170)]
    for suffix in (".gif", ".webp", ".png", ".tif", ".avif"):
        frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
        assert read_picture(tmp_path / f"a{suffix}").frames == 3
    frames[0].save(tmp_path / "a.mpo", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.jpg")
    assert read_picture(tmp_path / "a.mpo").frames == read_picture(tmp_path / "a.jpg").frames == 1


def test_broken_pages_behind_the_first_do_not_refuse_it(tmp_path):
    frames = [Image.fromarray(noise(16, 16, 3, seed=seed)) for seed in (0, 1)]
    whole = stored(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(whole[: len(whole) - 700]), np.asarray(frames[0]))


def test_a_picture_tells_its_mode_and_its_brightest_level():
    deep = read_picture(stored(Image.fromarray(np.array([[3, 200]], np.uint16)), "TIFF"))
    assert (deep.mode, deep.brightest) == ("I;16", 200)
    plain = read_picture(stored(Image.new("LA", (2, 2), (250, 255))))
    assert (plain.mode, plain.brightest) == ("LA", 0)


def test_levels_of_8_bits_in_16_are_read_with_that_depth():
    levels = np.arange(256, dtype=np.uint16)[None]
    for form in ("TIFF", "PNG"):
        np.testing.assert_array_equal(decode(stored(Image.fromarray(levels), form), 8)[..., 0], levels)
    with pytest.raises(ImageError, match=r"brightest pixel is 256, and white is 255 at 8 bits.*data\.bit_depth to 9"):
        decode(stored(Image.fromarray(levels + 1)), 8)


def test_deep_jpeg_2000_is_scaled_as_tiff_is():
    levels = noise(9, 7, high=4096, dtype=np.uint16)
    deep = Image.fromarray(levels)
    for depth in (12, 16):
        np.testing.assert_array_equal(decode(stored(deep, "JPEG2000"), depth), decode(stored(deep, "TIFF"), depth))
    whole = bytearray(stored(deep, "JPEG2000"))
    whole[whole.find(b"\xff\x4f\xff\x51") + 42] = 11  # it says 12 bits, which Pillow shifts up to 16
    with Image.open(io.BytesIO(whole)) as image:
        assert jpeg2000_bits(image) == 12 and stored_depth(image, 12) == stored_depth(image, 16) == 16


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", r'HEIF: pip install -e "\.\[heif\]"'),
        (b"\x76\x2f\x31\x01\x02\0\0\0", "levels without a fixed white"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "no format that Graft reads"),
    ],
)
def test_pictures_of_other_formats_are_named(head, reason):
    with pytest.raises(ImageError, match=f"picture in memory: {reason}"):
        decode(head + bytes(40))
