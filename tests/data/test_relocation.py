import pytest

from src.data.relocation import LOADING, PLACES, location_words, relocate

FOLDER = {"_target_": "src.data.FolderData", "root": "/then", "batch_size": 32}


def test_what_is_said_anew_takes_the_place_of_what_was():
    assert relocate(FOLDER, {}, PLACES) == FOLDER
    now = relocate(FOLDER, {"root": "/now", "cache_dir": None, "on_error": "skip"}, (*PLACES, *LOADING))
    assert now == {**FOLDER, "root": "/now", "cache_dir": None, "on_error": "skip"}


@pytest.mark.parametrize("key", ["table", "path", "files_dir", "image_size", "batch_size"])
def test_what_the_source_does_not_have_or_would_change_the_data_is_refused_by_name(key):
    with pytest.raises(
        ValueError, match=rf"^data\.{key} is not to be given .*FolderData.*data\.root, data\.layout, data\.split_file"
    ):
        relocate(FOLDER, {key: "x"}, PLACES)


def test_only_what_images_are_found_by_names_them():
    assert location_words({"cache_dir": "c", "split_file": "s"}) == ""
    assert location_words({"root": "a b", "table": "t.csv"}) == "data.root=a b data.table=t.csv"


def test_the_layout_of_a_run_that_guessed_it_can_be_said():
    assert relocate(FOLDER, {"layout": "class"}, PLACES) == {**FOLDER, "layout": "class"}
    with pytest.raises(ValueError, match=r"^data\.layout is not to be given"):
        relocate({"_target_": "src.data.TableData", "table": "t.csv"}, {"layout": "class"}, PLACES)
