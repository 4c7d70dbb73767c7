"""Predictions and runs that the tests of the report share."""

import csv
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from src.report.about import About
from src.report.predictions import Predictions
from src.spec import JOINT


class Layer(NamedTuple):
    name: str
    kind: str
    parameters: int


def predictions(classes=("good", "bad"), images=120, seed=0, splits=("test",), paths=None, levels=None):
    """Draw N images whose target gets a higher logit; `levels` rounds the probabilities so that scores tie."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(len(classes), size=images)
    logits = generator.normal(size=(images, len(classes))) + 1.5 * (targets[:, None] == np.arange(len(classes)))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if levels:
        shares[:, 0] = (np.floor(shares[:, 0] * levels) + 0.5) / levels
        shares[:, 1:] *= ((1 - shares[:, 0]) / shares[:, 1:].sum(axis=1))[:, None]
    return Predictions(
        tuple(paths or [f"images/{row}.png" for row in range(images)]),
        tuple(splits[row % len(splits)] for row in range(images)),
        tuple(classes[index] for index in targets),
        tuple(classes[index] for index in shares.argmax(axis=1)),
        shares,
        classes,
        "classification",
    )


def grades(images=120, seed=0, classes=("low", "middle", "high")):
    """Draw N images of ordered grades."""
    return replace(predictions(classes, images, seed), kind="ordinal")


def labels(classes=("rust", "scab", "rot"), images=120, seed=0, splits=("test",)):
    """Draw N images with any number of labels, those that are there with higher probabilities."""
    generator = np.random.default_rng(seed)
    present = generator.random((images, len(classes))) < 0.3
    chances = 1 / (1 + np.exp(-(generator.normal(size=present.shape) + 3 * present - 1.5)))
    texts = [tuple(JOINT.join(np.array(classes)[row]) for row in matrix) for matrix in (present, chances >= 0.5)]
    names = tuple(f"images/{row}.png" for row in range(images))
    parts = tuple(splits[row % len(splits)] for row in range(images))
    return Predictions(names, parts, *texts, chances, classes, "multilabel")


def values(images=120, seed=0, splits=("test",)):
    """Draw N images whose decided value is near the true one."""
    generator = np.random.default_rng(seed)
    true = generator.normal(10, 4, images)
    texts = [tuple(map(repr, column.tolist())) for column in (true, true + generator.normal(size=images))]
    names = tuple(f"images/{row}.png" for row in range(images))
    parts = tuple(splits[row % len(splits)] for row in range(images))
    return Predictions(names, parts, *texts, np.zeros((images, 0)), ("value",), "regression")


def about(classes=("good", "bad"), positive="bad", **changes):
    counts = {"train": dict.fromkeys(classes, 1234), "val": dict.fromkeys(classes, 30)}
    values = {
        "experiment": "defects",
        "backbone": "tf_efficientnet_lite0",
        "weights": "a package",
        "weights_licence": "Apache-2.0",
        "data": "ELPV",
        "data_licence": "CC BY-NC-SA 4.0",
        "fingerprint": "sha256:0123",
        "counts": counts,
        "classes": classes,
        "positive": positive,
        "kind": "classification",
        "method": ("LoRA rank 8", "BatchNorm folded"),
        "layers": (Layer("blocks.0.conv", "low-rank", 4321), Layer("blocks.0.dw", "dense", 99)),
        "versions": {"torch": "2.14.1"},
        "date": "2026-02-11 14:03",
        "left_out": (),
        "command": "python -m src.train +experiment=defects",
    }
    return About(**{**values, **changes})


HISTORY = (
    {"epoch": 0, "train_loss": 0.9, "val_balanced_accuracy": 0.6, "val_auroc": 0.7, "learning_rate": 1e-3},
    {"epoch": 1, "train_loss": 0.5, "val_loss": 0.6, "val_balanced_accuracy": 0.8, "val_auroc": 0.9},
)
COSTS = {
    **{"trainable_parameters": 412386, "total_parameters": 3784226, "adapter_bytes": 1649544, "train_seconds": 764.2},
    **{"epochs": 3, "seconds_per_epoch": 31.8, "stopped_early": True, "best_epoch": 1},
}


def write_images(folder, count):
    folder.mkdir()
    paths = [str(folder / f"cell {number}.png") for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("L", (400, 300), color=number % 256).save(path)
    return paths


def read_predictions(path, kind):
    """Read a `predictions.csv` as other tools do."""
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        header, *rows = csv.reader(file, strict=True)
    assert header[:4] == ["path", "split", "target", "predicted"]
    classes = tuple(name.removeprefix("p_") for name in header[4:]) or ("a value",)
    assert header[4:] == [f"p_{name}" for name in classes] or len(header) == 4
    texts = zip(*(row[:4] for row in rows), strict=True)
    return Predictions(*texts, np.array([[float(text) for text in row[4:]] for row in rows]), classes, kind)
