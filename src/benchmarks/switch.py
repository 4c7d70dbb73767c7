"""Suite `switch`: many adapters on one frozen backbone, how long a change takes and what each one weighs."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from ..backbones import create_backbone
from ..lora import AdapterPool, inject, save_adapter, save_peft
from ..package import install_line
from .methods import ALPHA, RANK, shared_layers
from .suite import Column, Options, Row, Suite
from .table import count, ratio
from .trainee import CLASSES

MODELS = ("vit_small_patch16_224", "convnext_tiny", "resnet50", "tf_efficientnet_lite0")
ADAPTERS = 12
SWITCHES = 100


def run(options: Options) -> list[Row]:
    """Return one row for Graft's pool and one for PEFT, on each model, with the same adapters on the same layers."""
    rows = []
    for name in options.models or MODELS:
        with tempfile.TemporaryDirectory() as folder:
            files = _write(name, Path(folder))
            ours, theirs = _pool(name, files), _peft(name, files)
            for row in (ours, theirs):
                row["ratio_to_peft"] = row["switch_seconds"] / theirs["switch_seconds"]
            rows += [ours, theirs]
    return rows


def switch_seconds(switch: Callable[[str], object], names: Sequence[str], rounds: int) -> float:
    """Return the median seconds of one `switch(name)`, going round `names`; each is switched to once unmeasured."""
    for name in names:
        switch(name)
    seconds = []
    for number in range(rounds):
        start = time.perf_counter()
        switch(names[number % len(names)])
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _plain(name: str) -> nn.Module:
    return create_backbone(name, "none", CLASSES)[0]


def _write(name: str, folder: Path) -> dict[str, tuple[Path, Path]]:
    """Write adapters of unlike values, each as Graft's file and as PEFT's folder."""
    files = {}
    for number in range(ADAPTERS):
        model = _plain(name)
        inject(model, RANK, ALPHA, shared_layers(model))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter), alpha=0.01)
        key = f"line{number:02d}"
        files[key] = (save_adapter(folder / f"{key}.safetensors", model), save_peft(folder / key, model))
    return files


def _pool(name: str, files: dict[str, tuple[Path, Path]]) -> Row:
    model = _plain(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    pool = AdapterPool(model)
    for key, (file, _) in files.items():
        pool.load(key, file)
    seconds = switch_seconds(pool.activate, list(files), SWITCHES)
    pool.deactivate()
    same = all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    sizes = [file.stat().st_size for file, _ in files.values()]
    return _row(name, "graft", seconds, sizes, base_unchanged=same)


def _peft(name: str, files: dict[str, tuple[Path, Path]]) -> Row:
    try:
        from peft import PeftModel
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is not installed: {install_line('dev')} to compare with PEFT") from error
    first, *others = files
    model = PeftModel.from_pretrained(_plain(name), str(files[first][1]), adapter_name=first)
    for key in others:
        model.load_adapter(str(files[key][1]), adapter_name=key)
    seconds = switch_seconds(model.set_adapter, list(files), SWITCHES)
    sizes = [sum(path.stat().st_size for path in folder.iterdir()) for _, folder in files.values()]
    return _row(name, "peft", seconds, sizes)


def _row(name: str, method: str, seconds: float, sizes: list[int], **more: bool) -> Row:
    labels = {"suite": "switch", "model": name, "method": method}
    return {**labels, "adapters": ADAPTERS, "switch_seconds": seconds, "adapter_bytes": max(sizes), **more}


SUITE = Suite(
    run,
    (
        Column("switch_seconds", "switch, ms", lambda seconds: f"{1000 * seconds:.2f}"),
        Column("ratio_to_peft", "time / peft", ratio),
        Column("adapter_bytes", "bytes each", count),
        Column("base_unchanged", "base as it was", lambda same: "yes" if same else "NO"),
    ),
    (
        f"{ADAPTERS} adapters of rank {RANK} on the layers that PEFT can take, head included, loaded once; median of "
        f"{SWITCHES} switches. The same values, written by Graft in both forms.",
        "graft: AdapterPool.activate on one frozen, folded backbone, the base compared bit for bit after deactivate.",
        "peft: PeftModel.set_adapter on a model that wraps every layer; its folders hold configuration and weights.",
    ),
    ("model", "method"),
    ("models",),
)
