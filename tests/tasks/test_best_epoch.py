"""Which epoch is kept, without a training: scores and their errors decide."""

import pytest
import torch

from src.tasks.best_epoch import START, BestEpoch
from src.tasks.head_start import HeadStart
from src.tasks.score import PARTS, SplitFigures, standard_error
from tests.tasks.test_classification import task


class Trainer:
    """Counts epochs, and writes which one a checkpoint is of."""

    sanity_checking = False
    current_epoch = 0

    def save_checkpoint(self, path):
        path.write_text(str(self.current_epoch))


@pytest.fixture(scope="module")
def built():
    return task()


def run(built, tmp_path, scores, start=None, error=0.02, resumed_after=None):
    """Return the callback after epochs with these scores."""
    trainer, best = Trainer(), BestEpoch(tmp_path / "best.ckpt")
    built.head_start = None if start is None else HeadStart({"balanced_accuracy": start}, error)
    built.score_error, built.window.scores = error, []
    best.on_train_start(trainer, built)
    for epoch, score in enumerate(scores):
        trainer.current_epoch = epoch
        built.window.scores = [*built.window.scores, score][-3:]
        best.on_validation_end(trainer, built)
        if epoch == resumed_after:
            again = BestEpoch(tmp_path / "best.ckpt")
            again.load_state_dict(best.state_dict())
            again.on_train_start(trainer, built)
            best = again
    return best


@pytest.mark.parametrize("resumed_after", [None, 1, 3])
@pytest.mark.parametrize(
    ("scores", "start", "error", "epoch"),
    [
        ([1.0, 0.5, 0.5, 0.8, 0.8, 0.8], None, 0.0, 5),  # a lucky first epoch is no window
        ([0.9, 0.9, 0.9, 0.5, 0.5, 0.5], None, 0.1, 2),  # what comes later is worse than chance explains
        ([0.9, 0.9, 0.9, 0.85, 0.85, 0.85], None, 0.1, 5),  # and here it is not
        ([0.5, 0.5, 0.5, 0.6, 0.6, 0.6], 0.9, 0.1, START),  # below the head alone
        ([0.5, 0.5, 0.5, 0.85, 0.85, 0.85], 0.9, 0.1, 5),  # as good as the head alone, by chance
        ([0.7, 0.7, 0.7, 0.9, 0.9, 0.9, 0.7, 0.7, 0.7], 0.6, 0.1, 6),  # 0.83 is the last within chance of 0.9
    ],
)
def test_the_latest_within_chance_of_the_best_is_kept(built, tmp_path, scores, start, error, epoch, resumed_after):
    best = run(built, tmp_path, scores, start, error, resumed_after)
    assert best.epoch == epoch
    assert (tmp_path / "best.ckpt").read_text() == str(max(epoch, 0))


def test_a_head_without_a_mistake_is_judged_with_the_error_of_what_follows(built, tmp_path):
    built.head_start, built.score_error, built.window.scores = HeadStart({"balanced_accuracy": 1.0}, 0.0), 0.0, []
    best, trainer = BestEpoch(tmp_path / "best.ckpt"), Trainer()
    best.on_train_start(trainer, built)
    built.window.scores, built.score_error = [0.95] * 3, 0.06
    best.on_validation_end(trainer, built)
    assert best.epoch == 0


@pytest.mark.parametrize(("start", "epoch"), [(None, 1), (0.6, 1), (0.9, START)])
def test_a_training_shorter_than_a_window_is_judged_by_what_there_is(built, tmp_path, start, epoch):
    best = run(built, tmp_path, [0.2, 1.0], start, resumed_after=0)
    path, shipped = best.shipped()
    assert shipped == epoch and not best.whole
    assert path.name == ("best.ckpt" if epoch == START else "short.ckpt") and path.read_text() == str(max(epoch, 0))


def test_a_whole_window_takes_the_place_of_a_part_of_one(built, tmp_path):
    best = run(built, tmp_path, [0.9, 0.9, 0.2], 0.9)  # 0.67 is below the head
    assert best.shipped() == (tmp_path / "best.ckpt", START)
    assert not (tmp_path / "short.ckpt").exists()


def test_where_nothing_was_scored_nothing_is_shipped(built, tmp_path):
    assert run(built, tmp_path, []).shipped() is None


@pytest.mark.parametrize("score", [torch.tensor(0.8), None])
def test_what_an_older_version_kept_is_taken_up(tmp_path, score):
    path = tmp_path / "best.ckpt"
    callbacks = {"EarlyStopping": {"patience": 5}, "EpochCheckpoint{best}": {"best_model_score": score}}
    callbacks |= {"EpochCheckpoint{last}": {"best_model_score": None}, "History": {"rows": []}}
    torch.save({"epoch": 4, "callbacks": callbacks}, path)
    best = BestEpoch(path)
    best.adopt()
    assert best.shipped() == (None if score is None else (path, 4)) and best.whole == (score is not None)
    if score is not None:
        assert not best._ships(0.7, 0.05) and best._ships(0.78, 0.05)


def test_the_standard_error_is_that_of_a_share(built):
    spec, generator = built.setting.task, torch.Generator().manual_seed(0)
    found, images = [], 300
    for _ in range(30):
        targets = torch.arange(images) % 3
        right = torch.rand(images, generator=generator) < 0.8
        logits = torch.eye(3)[torch.where(right, targets, (targets + 1) % 3)]
        found.append(standard_error(logits, targets, spec, "balanced_accuracy"))
    assert sum(found) / len(found) == pytest.approx((0.8 * 0.2 / images) ** 0.5, rel=0.15)


def test_the_standard_error_of_very_few_images_is_a_number(built):
    tracked = SplitFigures(built.setting.task)
    for count in (1, 2, 3, PARTS + 1):
        tracked.reset()
        tracked.update(torch.eye(3)[torch.zeros(count, dtype=torch.long)], torch.arange(count) % 3)
        assert 0 <= tracked.standard_error("balanced_accuracy") < 1


def test_its_state_has_the_key_that_older_checkpoints_have(tmp_path):
    assert BestEpoch(tmp_path / "best.ckpt").state_key == "KeptEpoch"
