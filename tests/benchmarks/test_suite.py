import pytest

from src.benchmarks.suite import Options, choose


def test_what_is_asked_for_is_chosen_else_all():
    assert choose("methods", ["b"], ("a", "b")) == ("b",) and choose("methods", [], ("a", "b")) == ("a", "b")
    with pytest.raises(ValueError, match="methods=c is unknown: choose from a, b"):
        choose("methods", ["c"], ("a", "b"))


@pytest.mark.parametrize("option", ["steps", "batch", "image_size", "epochs", "limit"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8"])
def test_numbers_that_measure_nothing_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option}=.*whole number"):
        Options(**{option: value})


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8"])
def test_a_data_set_of_no_images_is_refused(value):
    with pytest.raises(ValueError, match=r"images=.*whole number"):
        Options(images=(1000, value))


@pytest.mark.parametrize("value", [-1, 1.5, True, "8"])
def test_a_seed_is_a_whole_number(value):
    with pytest.raises(ValueError, match=r"seeds=.*whole numbers"):
        Options(seeds=(0, value))
