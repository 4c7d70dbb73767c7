"""Benchmark: `python -m src.benchmark suite=step` measures, and leaves benchmark.json and benchmark.md."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from omegaconf import DictConfig

from src.command import requires, run

with requires("train"):
    from rich.console import Console
    from rich.text import Text

    from src.benchmarks import SUITES, Options, Suite, choose, machine, markdown, terminal
    from src.benchmarks.table import errors
    from src.report import write_text


def main(config: DictConfig) -> None:
    """Run one suite and write what it measured."""
    (name,) = choose("suite", [config.suite], SUITES)
    logging.getLogger("src.backbones").setLevel(logging.WARNING)  # it tells of every model that is built
    suite, about = SUITES[name], machine()
    rows = suite.run(options(config, suite))
    result = {"machine": about, "notes": list(suite.notes), "rows": rows}
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "benchmark.json", json.dumps(result, indent=2, allow_nan=False) + "\n")
    write_text(folder / "benchmark.md", markdown(name, suite, about, rows))
    console = Console(width=100)
    console.print(terminal(suite, rows))
    for line in (*errors(suite, rows), f"written to {folder}"):
        console.print(Text(line), soft_wrap=True)


def options(config: DictConfig, suite: Suite) -> Options:
    """Return what the config asks for.

    Raises:
        ValueError: It asks for what the suite does not follow, or for numbers with which nothing can be measured.
    """
    names = {key: tuple(config[key]) for key in ("models", "methods", "precisions", "images")}
    asked = Options(**names, steps=config.steps, batch=config.batch, image_size=config.image_size)
    plain = Options()
    for option in vars(plain):
        if getattr(asked, option) != getattr(plain, option) and option not in suite.options:
            raise ValueError(f"suite={config.suite} does not follow {option}: it takes {', '.join(suite.options)}")
    return asked


if __name__ == "__main__":
    run(main, "benchmark", paths=("output",))
