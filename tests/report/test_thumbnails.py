import base64
import io

import numpy as np
from PIL import Image

from src.report.thumbnails import SIDE, thumbnail


def test_a_thumbnail_is_a_small_jpeg_of_the_picture(tmp_path):
    Image.fromarray(np.full((300, 600, 3), (200, 40, 40), dtype=np.uint8)).save(tmp_path / "a.png")
    address = thumbnail(tmp_path / "a.png", 16)
    picture = Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))))
    assert picture.format == "JPEG" and picture.size == (SIDE, SIDE // 2)
    assert np.abs(np.asarray(picture).astype(int) - (200, 40, 40)).max() < 6


def test_a_broken_file_has_none(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert thumbnail(tmp_path / "a.png", 16) is None
