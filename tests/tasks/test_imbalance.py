import pytest
import torch
import torch.nn.functional as F

from src.tasks import ClassificationTask, Imbalance, MultilabelTask
from src.tasks.imbalance import STEEPEST

FREQUENCIES = (0.7, 0.2, 0.1)
LOGITS, TARGETS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 0, 1])


def test_class_weights_make_every_class_count_the_same():
    weights = Imbalance(class_weights=1).weights(FREQUENCIES)
    shares = weights * torch.tensor(FREQUENCIES)
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3))
    torch.testing.assert_close(Imbalance().weights(FREQUENCIES), torch.ones(3))


def test_weighted_cross_entropy_is_torchs(make_task):
    task = make_task(ClassificationTask, "a", "b", "c", frequencies=FREQUENCIES, imbalance=Imbalance(class_weights=1))
    weight = Imbalance(class_weights=1).weights(FREQUENCIES)
    expected = F.cross_entropy(LOGITS, TARGETS, weight=weight, reduction="none")
    torch.testing.assert_close(task.losses(LOGITS, TARGETS), expected)
    torch.testing.assert_close(task.losses(LOGITS, F.one_hot(TARGETS, 3).float()), expected)


def test_adjusted_logits_have_the_prior_added(make_task):
    task = make_task(
        ClassificationTask, "a", "b", "c", frequencies=FREQUENCIES, imbalance=Imbalance(logit_adjustment=1)
    )
    expected = F.cross_entropy(LOGITS + torch.tensor(FREQUENCIES).log(), TARGETS, reduction="none")
    torch.testing.assert_close(task.losses(LOGITS, TARGETS), expected)


def test_focal_loss_is_torchvisions_for_labels_and_by_hand_for_classes(make_task):
    from torchvision.ops import sigmoid_focal_loss

    task = make_task(ClassificationTask, "a", "b", "c", frequencies=FREQUENCIES, imbalance=Imbalance(focal=2))
    chance = LOGITS.softmax(1)[torch.arange(6), TARGETS]
    torch.testing.assert_close(task.losses(LOGITS, TARGETS), -((1 - chance) ** 2) * chance.log())
    several = make_task(MultilabelTask, "a", "b", "c", frequencies=FREQUENCIES, imbalance=Imbalance(focal=2))
    labels = torch.randint(0, 2, (6, 3), generator=torch.Generator().manual_seed(1)).float()
    expected = sigmoid_focal_loss(LOGITS, labels, alpha=-1, gamma=2).mean(1)
    torch.testing.assert_close(several.losses(LOGITS, labels), expected)


def test_rare_labels_are_raised_as_torch_does(make_task):
    task = make_task(MultilabelTask, "a", "b", "c", frequencies=FREQUENCIES, imbalance=Imbalance(class_weights=1))
    labels = torch.eye(3).repeat(2, 1)
    raised = torch.tensor([3 / 7, 4.0, 9.0])
    expected = F.binary_cross_entropy_with_logits(LOGITS, labels, pos_weight=raised, reduction="none").mean(1)
    torch.testing.assert_close(task.losses(LOGITS, labels), expected)
    shifted = make_task(MultilabelTask, "a", "b", "c", frequencies=FREQUENCIES, imbalance=Imbalance(logit_adjustment=1))
    odds = torch.tensor([7 / 3, 1 / 4, 1 / 9]).log()
    expected = F.binary_cross_entropy_with_logits(LOGITS + odds, labels, reduction="none").mean(1)
    torch.testing.assert_close(shifted.losses(LOGITS, labels), expected)


def test_a_class_that_is_missing_or_alone_stays_finite():
    for values in (Imbalance(1, 1).weights((1.0, 0.0)), Imbalance(1, 1).odds_weights((1.0, 0.0))):
        assert values.isfinite().all()
    assert Imbalance(0, 1).odds_shift((1.0, 0.0)).isfinite().all()


def test_a_negative_power_is_refused():
    with pytest.raises(ValueError, match=r"task\.imbalance\.focal=-1 must be 0 or more"):
        Imbalance(focal=-1)


@pytest.mark.parametrize("focal", [0.5, 1.0, 2.0])
def test_the_focal_loss_of_a_soft_truth_is_smallest_at_that_truth(make_task, focal):
    task = make_task(ClassificationTask, "a", "b", "c", frequencies=FREQUENCIES, imbalance=Imbalance(focal=focal))
    truth = torch.tensor([[0.1, 0.8, 0.1]])
    logits = truth.log().clone().requires_grad_()
    at_truth = task.losses(logits, truth)
    (gradient,) = torch.autograd.grad(at_truth.sum(), logits)
    assert gradient.isfinite().all()
    for other in (torch.tensor([[0.02, 0.96, 0.02]]), torch.tensor([[0.2, 0.6, 0.2]]), torch.tensor([[0.1, 0.1, 0.8]])):
        assert task.losses(other.log(), truth) > at_truth
    several = make_task(MultilabelTask, "a", "b", "c", frequencies=FREQUENCIES, imbalance=Imbalance(focal=focal))
    half = torch.full((1, 3), 0.5)
    assert several.losses(torch.ones(1, 3), half) > several.losses(torch.zeros(1, 3), half)


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, float("nan")])
def test_label_smoothing_is_a_part(make_task, smoothing):
    for cls in (ClassificationTask, MultilabelTask):
        with pytest.raises(ValueError, match=r"task\.label_smoothing=.* must be from 0 to 1"):
            make_task(cls, "a", "b", label_smoothing=smoothing)


def test_the_steepest_weights_are_numbers_and_steeper_ones_are_refused():
    for weights in (Imbalance(STEEPEST).weights([1e-9, 1]), Imbalance(STEEPEST).odds_weights([1e-9, 1])):
        assert weights.isfinite().all()
    with pytest.raises(ValueError, match=r"task\.imbalance\.class_weights=1e\+38 must be 9 or less"):
        Imbalance(class_weights=1e38)
