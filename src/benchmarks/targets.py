"""Suite `targets`: what each word of `lora.targets` picks, in every backbone that has a config."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import nn

from ..backbones import create_backbone
from ..lora import inject, remove
from ..lora.targets import ROLES, sites
from .methods import ALPHA, RANK
from .suite import Column, Options, Row, Suite
from .table import count
from .trainee import CLASSES

CONFIGS = Path(__file__).parents[2] / "conf" / "backbone"


def run(options: Options) -> list[Row]:
    """Return one row for each backbone and word, without training anything."""
    names = options.models or tuple(str(OmegaConf.load(path).name) for path in sorted(CONFIGS.glob("*.yaml")))
    models = ((name, create_backbone(name, "none", CLASSES)[0]) for name in names)
    return [_row(name, model, word) for name, model in models for word in ROLES]


def _row(name: str, model: nn.Module, word: str) -> Row:
    row: Row = {"suite": "targets", "model": name.partition(".")[0], "targets": word, "layers": 0}
    chosen = [site for site in sites(model) if word in site.roles]
    if not chosen:
        return row
    kinds = Counter(type(site.module).__name__ for site in chosen)
    injection = inject(model, RANK, ALPHA, word, fold_norms=False)
    trained = sum(layer.parameters for layer in injection.layers)
    share = trained / _size(model)
    remove(model)
    return {
        **row,
        "layers": len(chosen),
        "whole_layers": sum(layer.kind == "dense" for layer in injection.layers),
        "layer_classes": ", ".join(f"{number} {kind}" for kind, number in kinds.most_common()),
        "example": f"{chosen[0].name} ... {chosen[-1].name}",
        "trainable_parameters": trained,
        "share_of_model": share,
    }


def _size(model: nn.Module) -> int:
    return sum(torch.numel(parameter) for parameter in model.parameters() if not parameter.requires_grad)


SUITE = Suite(
    run,
    (
        Column("layers", "layers", count),
        Column("whole_layers", "whole", count),
        Column("layer_classes", "which", str),
        Column("trainable_parameters", "trained", count),
        Column("share_of_model", "of model", lambda share: f"{100 * share:.1f} %"),
    ),
    (
        f"Rank {RANK}; trained counts the adapters, not the head. A convolutional net has no layer for `attention`.",
        "A layer is trained whole where a low-rank pair would have more parameters than it.",
    ),
    ("model", "targets"),
    ("models",),
)
