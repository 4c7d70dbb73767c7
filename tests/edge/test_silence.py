import io
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from src.edge import decode
from src.edge.silence import pillow_silent


def remarkable():
    """A good JPEG whose EXIF data are cut, of which Pillow warns."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x010F] = "maker " * 20
    Image.new("RGB", (16, 12), "teal").save(buffer, "JPEG", exif=exif.tobytes()[:40])
    return buffer.getvalue()


def test_decoding_in_threads_leaves_the_filters_of_the_process_alone():
    data, before = remarkable(), list(warnings.filters)
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            with ThreadPoolExecutor(4) as threads:
                found = list(threads.map(decode, [data] * 40))
            assert warnings.filters == before and warnings.showwarning is warnings._showwarning_orig
    finally:
        sys.setswitchinterval(switch)
    assert all(np.array_equal(each, found[0]) for each in found)


@pytest.mark.parametrize("action", ["error", "ignore", "always"])
def test_no_filter_changes_what_is_decoded(action, recwarn):
    expected = decode(remarkable())
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        assert np.array_equal(decode(remarkable()), expected)
    assert not recwarn.list


def test_pillow_goes_on_warning_everybody_else():
    """Also while another thread decodes, and with the line of the caller."""
    data, inside, end = remarkable(), threading.Event(), threading.Event()

    def decoding():
        with pillow_silent():
            inside.set()
            end.wait(10)

    other = threading.Thread(target=decoding)
    other.start()
    inside.wait(10)
    with pytest.warns(UserWarning, match="tag 271|EXIF") as caught, Image.open(io.BytesIO(data)) as image:
        image.getexif()
    end.set()
    other.join()
    assert "TiffImagePlugin" in caught[0].filename
    with pillow_silent(), pillow_silent():
        pass
    with pytest.warns(UserWarning, match="tag 271|EXIF"), Image.open(io.BytesIO(data)) as image:
        image.getexif()
