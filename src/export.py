"""Export: `python -m src.export adapter=PATH` ships a trained file as one ONNX bundle, or refuses to."""

from __future__ import annotations

from omegaconf import DictConfig

from src.command import PromiseError, requires, run, versions

with requires("train"):
    from src.deploy import Candidate, ship
    from src.evaluate import own_data
    from src.tasks import read_trained


def main(config: DictConfig) -> None:
    """Merge, export, and let the gate compare the file with the trained model on the validation images."""
    trained = read_trained(config.adapter)
    data = own_data(trained)
    merged = trained.adaptation.merge(trained.build())
    candidate = Candidate(trained.build(), merged, trained.image, trained.task)
    samples = {split: [(sample.path, sample.truth) for sample in data.samples(split)] for split in ("val", "test")}
    provenance = {
        "adapter_sha256": trained.sha256,
        "base": trained.backbone.name,
        "date": trained.provenance["date"],
        "versions": versions(),
    }
    folder = trained.path.parent
    parity = ship(candidate, samples, folder, config.precision, provenance)
    compared = (
        f"{parity.images} validation images, max |d logit| {parity.max_abs_logit_diff:.2e} on a scale of "
        f"{parity.logit_scale:.2f}, {parity.changed_decisions} changed decisions"
    )
    if not parity.passed:
        raise PromiseError(
            f"the gate refused {config.precision}: {compared}; figures in {folder}/edge-refused-{config.precision}"
        )
    print(f"gate passed: {compared}\nbundle: {folder / 'edge'}")


if __name__ == "__main__":
    run(main, "export", paths=("adapter",))
