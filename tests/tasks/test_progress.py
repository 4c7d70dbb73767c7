import json

import pytest
import torch

from src.tasks.progress import NOTHING, Progress, can_resume, last_checkpoint, read_progress, require_unfinished


def trained(folder, epochs, waited=0, patience=5, judged=None):
    """A run folder after so many epochs, of which `judged` have their figures."""
    stopping = {"wait_count": waited, "patience": patience, "stopped_epoch": 0, "best_score": torch.tensor(0.5)}
    last_checkpoint(folder).parent.mkdir(exist_ok=True)
    kept = {"epoch": epochs - 1, "global_step": 10 * epochs, "callbacks": {"EarlyStopping{}": stopping, "other": {}}}
    torch.save(kept, last_checkpoint(folder))
    (folder / "report.html").touch()
    (folder / "metrics.json").write_text(json.dumps({"epochs": epochs if judged is None else judged}))


def test_how_far_a_training_came_is_read(tmp_path):
    assert read_progress(tmp_path) == NOTHING and not can_resume(tmp_path)
    trained(tmp_path, 3)
    assert read_progress(tmp_path) == Progress(3, 30, stopped=False) and can_resume(tmp_path)
    trained(tmp_path, 3, waited=5)
    assert read_progress(tmp_path).stopped
    last_checkpoint(tmp_path).write_bytes(b"cut")
    with pytest.raises(ValueError, match=r"last\.ckpt is damaged"):
        read_progress(tmp_path)


def test_what_is_finished_is_not_resumed(tmp_path):
    trained(tmp_path, 3)
    for asked in (3, 2):
        with pytest.raises(
            ValueError, match=r"is finished \(3 epochs\); to train on add trainer\.max_epochs=NUMBER, above 3"
        ):
            require_unfinished(tmp_path, {"max_epochs": asked}, stops_early=True, changed=True)
    with pytest.raises(ValueError, match=r"add \+trainer\.max_steps=NUMBER, above 30"):
        require_unfinished(tmp_path, {"max_epochs": -1, "max_steps": 30}, stops_early=True, changed=False)
    require_unfinished(tmp_path, {"max_epochs": 4, "max_steps": -1}, stops_early=True, changed=True)
    require_unfinished(tmp_path, {"max_epochs": None, "max_steps": 31}, stops_early=False, changed=True)


def test_what_was_ended_by_the_clock_is_not_resumed_as_it_is(tmp_path):
    trained(tmp_path, 3)
    settings = {"max_epochs": 9, "max_time": "00:00:01:00"}
    with pytest.raises(ValueError, match=r"has ended \(3 epochs\); to train on add \+trainer\.max_time=LONGER"):
        require_unfinished(tmp_path, settings, stops_early=True, changed=False)
    require_unfinished(tmp_path, settings, stops_early=True, changed=True)


def test_what_stopped_early_is_not_resumed_unless_it_is_not_to_stop(tmp_path):
    trained(tmp_path, 3, waited=5)
    with pytest.raises(ValueError, match=r"stopped early after 3 epochs.* add '~callbacks\.early_stopping'"):
        require_unfinished(tmp_path, {"max_epochs": 9}, stops_early=True, changed=True)
    require_unfinished(tmp_path, {"max_epochs": 9}, stops_early=False, changed=True)


@pytest.mark.parametrize("judged", [None, 2])
def test_what_was_killed_before_its_figures_were_written_is_resumed(tmp_path, judged):
    trained(tmp_path, 3, judged=judged)
    (tmp_path / ("report.html" if judged is None else "other")).unlink(missing_ok=True)
    require_unfinished(tmp_path, {"max_epochs": 3}, stops_early=True, changed=False)
