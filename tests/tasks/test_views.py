import re

import pytest
from omegaconf import ListConfig

from src.spec import QUARTER_TURNS, VIEWS, ImageSpec
from src.tasks.views import read_views

WIDE = ImageSpec((24, 32), (0.5,), (0.5,), "bilinear", 1.0, "squash")
SQUARE = ImageSpec((32, 32), (0.5,), (0.5,), "bilinear", 1.0, "squash")


@pytest.mark.parametrize("wanted", [["identity"], ListConfig(["both", "identity"]), VIEWS])
def test_views_are_read_in_the_order_they_are_named(wanted):
    assert read_views(wanted, SQUARE) == tuple(wanted)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (None, "views=null is no list of views: write 'views=[identity]'"),
        ("identity", "views=identity is no list of views: write 'views=[identity]'"),
        (3, "views=3 is no list"),
        ([], "views=[] is no list"),
        ({"identity": 1}, "is no list"),
        (["identity", "horisontal"], "there is no view 'horisontal' (did you mean horizontal?): choose from identity,"),
        (["rotate180"], "transverse; both is a half turn"),
        ([3], "there is no view '3': choose from identity,"),
        (["identity", "both", "both"], "views names both twice"),
        (["identity", *QUARTER_TURNS], f"views {', '.join(QUARTER_TURNS)} turn a picture of 24 x 32 pixels"),
    ],
)
def test_what_names_no_views_is_refused(wanted, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read_views(wanted, WIDE)
