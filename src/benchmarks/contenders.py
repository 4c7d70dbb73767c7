"""What suite `claims` compares: each way to adapt, with its learning rate and how to undo it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from torch import nn

from ..backbones import create_backbone
from ..lora import Injection, inject, injection_of, remove
from ..lora.targets import Site, sites
from ..tasks import Full, Lora
from ..tasks.adaptation import Adaptation
from .methods import ALPHA, RANK, keep_statistics
from .peft_adaptation import Peft
from .trainee import CLASSES

FULL_RATE, HEAD_RATE, LORA_RATE = 1e-4, 1.5e-3, 1.5e-3


@dataclass(frozen=True)
class FullWithStatistics(Full):
    """Every weight, on the running statistics that came with it, as LoRA has them.

    With a batch's own statistics a short training ends far lower: the running ones hardly follow (momentum 0.01).
    """

    def prepare(self, model: nn.Module) -> None:
        """Leave everything trainable but the running statistics."""
        keep_statistics(model)


@dataclass(frozen=True)
class AttentionLora(Lora):
    """LoRA on the attention where the backbone has any, else on its convolutions."""

    def prepare(self, model: nn.Module) -> Injection:
        """Inject the adapters."""
        return inject(model, **{**vars(self), "targets": attention_or_conv(sites(model))})


def attention_or_conv(found: Sequence[Site]) -> str:
    """Return the word of `lora.targets` for the attention, or, of a network that has none, for its convolutions."""
    return "attention" if any("attention" in site.roles for site in found) else "conv"


@dataclass(frozen=True)
class Contender:
    """One method.

    Attributes:
        adaptation: How the backbone is made to learn.
        learning_rate: The same on every data set.
        undo: Gives the backbone without what was added to it, in place.
    """

    adaptation: Adaptation
    learning_rate: float
    undo: Callable[[nn.Module], nn.Module]

    def targets(self, model: nn.Module) -> str | None:
        """Return the layers in which Graft has adapted `model`, as `lora.targets`; None where there are none."""
        injection = injection_of(model)
        if injection is None:
            return None
        targets = injection.settings.targets
        return (targets if isinstance(targets, str) else ", ".join(targets)) or None


@cache
def repeated(model: str) -> Mapping[str, str]:
    """Return which methods would only repeat another one on a backbone: where all layers are convolutions, one."""
    found = sites(create_backbone(model, "none", CLASSES)[0])
    only = attention_or_conv(found)
    return {"graft_attention": "graft_all"} if all(only in site.roles for site in found) else {}


def _itself(model: nn.Module) -> nn.Module:
    return model


_PEFT = Peft()
CONTENDERS = {
    "full": Contender(FullWithStatistics(), FULL_RATE, _itself),
    "head": Contender(Lora(RANK, ALPHA, targets=()), HEAD_RATE, remove),
    "graft": Contender(Lora(RANK, ALPHA, targets="dense"), LORA_RATE, remove),
    "graft_attention": Contender(AttentionLora(RANK, ALPHA), LORA_RATE, remove),
    "graft_all": Contender(Lora(RANK, ALPHA, targets="all"), LORA_RATE, remove),
    "dora": Contender(Lora(RANK, ALPHA, targets="dense", kind="dora"), LORA_RATE, remove),
    "peft": Contender(_PEFT, LORA_RATE, _PEFT.remove),
}
