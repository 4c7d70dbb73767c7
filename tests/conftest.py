"""How the tests are run, and what those of commands share: a small folder of images, a command run in this process."""

import os

# Before torch is imported: each worker has a core, and the threads of two would wait for one another, spinning.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import runpy
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[1]
TINY = (
    *("backbone.name=test_efficientnet", "backbone.weights=none"),
    *("data.image_size=64", "data.batch_size=8", "data.cache_dir=null"),
)


MOST_WORKERS = 8  # each holds torch and a few networks, 1.5 GB


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Let workers take a file of tests each, where pytest-xdist is there and was told of no other places.

    Not in pyproject.toml: where it is not there, or left out by `-p no:xdist`, these would be unknown options.
    """
    if config.pluginmanager.hasplugin("xdist") and not hasattr(config, "workerinput"):
        option = config.option
        if not (option.tx or option.distload):
            option.dist = "loadfile" if option.dist == "no" else option.dist
            # With another way to deal them out too: xdist takes `--dist` alone for one process, and says nothing.
            option.numprocesses = "auto" if option.numprocesses is None else option.numprocesses


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Return a worker for each core; none where there is one, or where files are named: those run in this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    files = all(argument.partition("::")[0].endswith(".py") for argument in config.args)
    return 0 if files or cores == 1 else min(cores, MOST_WORKERS)


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def seeded():
    """Start every test from the same random state, so that a failure can be seen again."""
    torch.manual_seed(0)


def run_here(command: str, *overrides: str) -> int:
    """Run `python -m src.<command> <overrides>` in this process and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(sys, "argv", [f"src/{command}.py", *overrides])
        patch.delitem(sys.modules, f"src.{command}", raising=False)  # runpy warns of a module that is there
        try:
            runpy.run_module(f"src.{command}", run_name="__main__")
        except SystemExit as end:
            return int(end.code or 0)
    return 0


@pytest.fixture
def invoke(capfd):
    """Run `python -m src.<command> <overrides>` in this process and say how it ended."""

    def call(command: str, *overrides: str) -> Ended:
        capfd.readouterr()
        code = run_here(command, *overrides)
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


def draw(seed: int, scratched: bool) -> Image.Image:
    """Draw a noisy plate, with a bright scratch or without."""
    random = np.random.default_rng(seed)
    pixels = random.normal(110, 20, (72, 80))
    if scratched:
        row = int(random.integers(10, 60))
        pixels[row : row + 4, 10:70] += 100
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def plates(tmp_path_factory) -> Path:
    """A folder of 2 x 20 images: good plates and scratched ones."""
    root = tmp_path_factory.mktemp("plates")
    for label in ("good", "defect"):
        (root / label).mkdir()
        for number in range(20):
            draw(number + 1000 * (label == "good"), label == "defect").save(root / label / f"{number:02d}.png")
    return root
