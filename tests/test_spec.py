import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.spec import CROP_MODES, INTERPOLATIONS, VIEWS, ImageSpec, TaskSpec

IMAGE = ImageSpec((8, 6), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "bilinear", 1.0, "squash")
unit = st.floats(0.01, 1)
triples = st.tuples(unit, unit, unit)


@given(
    st.builds(
        ImageSpec, st.tuples(st.integers(1, 2000), st.integers(1, 2000)), triples, triples,
        st.sampled_from(INTERPOLATIONS), unit, st.sampled_from(CROP_MODES), st.integers(9, 16),
    )
)  # fmt: skip
def test_an_image_spec_survives_json(spec):
    assert ImageSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@given(st.lists(st.text(), min_size=2, unique=True), st.sets(st.sampled_from(VIEWS), min_size=1))
def test_a_task_spec_survives_json(classes, views):
    spec = TaskSpec("classification", tuple(classes), classes[0], tuple(views))
    assert TaskSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (0, 5)}, "two positive numbers"),
        ({"std": (0.0, 1.0, 1.0)}, "std above 0"),
        ({"interpolation": "magic"}, "unknown interpolation 'magic'"),
        ({"crop_pct": 1.5}, "crop_pct must be"),
        ({"crop_mode": "middle"}, "unknown crop_mode 'middle'"),
        ({"bit_depth": 7}, "bit_depth must be a whole number from 8 to 16, not 7"),
        ({"bit_depth": 17}, "from 8 to 16, not 17"),
        ({"bit_depth": "12"}, "from 8 to 16, not 12"),
    ],
)
def test_an_image_spec_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        ImageSpec.from_dict({**IMAGE.to_dict(), **change})


def test_a_task_spec_refuses():
    for options, message in (
        ({"positive": "c"}, "not among a, b"),
        ({"views": ("upside",)}, "views must be some of"),
    ):
        with pytest.raises(ValueError, match=message):
            TaskSpec(**{"kind": "classification", "classes": ("a", "b"), **options})


def test_a_missing_key_takes_the_default_that_older_files_were_made_with():
    image, task = IMAGE.to_dict(), TaskSpec("classification", ("a", "b")).to_dict()
    del image["bit_depth"], task["views"]
    assert ImageSpec.from_dict(image) == IMAGE and TaskSpec.from_dict(task).views == ("identity",)


def test_missing_and_unknown_keys_are_named():
    values = IMAGE.to_dict()
    values["colour"] = values.pop("mean")
    with pytest.raises(ValueError, match=r"missing keys \['mean'\] and unknown keys \['colour'\]"):
        ImageSpec.from_dict(values)
    with pytest.raises(ValueError, match="must be a mapping"):
        TaskSpec.from_dict([])
