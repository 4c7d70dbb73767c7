"""Evaluate: `python -m src.evaluate adapter=PATH` judges a trained file, on its own data or on other images."""

from __future__ import annotations

from datetime import datetime

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from .command import requires, run

if __name__ == "__main__":
    run("evaluate", needs="torch")

with requires("train"):
    from rich.console import Console

    from .atomic import new_folder, nothing_left
    from .evaluation import compare_views, judge, own_data
    from .lot import other_data, require_heeded
    from .report import print_figures, record
    from .tasks import read_trained
    from .typed import given


def main(config: DictConfig) -> None:
    """Build the model from its file, judge it, and write the figures beside the run."""
    trained = read_trained(config.adapter, given(config.backbone).get("weights")).with_views(config.views)
    own = "_target_" not in (config.get("data") or {})
    if own:
        data = own_data(trained, given(config.get("data")), judging=True)
    else:
        require_heeded(HydraConfig.get().overrides.task)
        data, _ = other_data(trained, config.data)
    model = trained.build()
    splits = [split for split in ("val", "test") if data.samples(split)]
    predictions = judge(trained, model, data, splits)
    folder = new_folder(trained.path.parent / "evaluations" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    costs = {"adapter_bytes": trained.path.stat().st_size, "data": data.index.name, "fingerprint": data.fingerprint}
    views = {"views": trained.task.views} if trained.has_other_views else {}
    with nothing_left(folder):
        figures = record(folder, predictions, trained.task.positive, costs | views)
    print_figures(Console(), folder, figures)
    if trained.has_other_views:
        print(compare_views(trained, model, data, predictions))
