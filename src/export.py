"""Export: `python -m src.export adapter=PATH` ships a trained file as one ONNX bundle, or refuses to."""

from __future__ import annotations

from omegaconf import DictConfig

from src.command import PromiseError, requires, run, versions

with requires("train"):
    from src.deploy import Budget, Candidate, ship
    from src.evaluate import own_data
    from src.tasks import read_trained


def main(config: DictConfig) -> None:
    """Merge, export, and let the gate compare the file with the trained model on the validation images."""
    trained = read_trained(config.adapter)
    data = own_data(trained)
    merged = trained.adaptation.merge(trained.build())
    calibration = [sample.path for sample in data.samples("train")]
    form = (config.profile, config.opset)
    candidate = Candidate(trained.build(), merged, trained.image, trained.task, calibration, *form)
    samples = {split: [(sample.path, sample.truth) for sample in data.samples(split)] for split in ("val", "test")}
    provenance = {
        "adapter_sha256": trained.sha256,
        "base": trained.backbone.name,
        "date": trained.provenance["date"],
        "versions": versions(),
    }
    folder, precision = trained.path.parent, config.precision
    budget = Budget(config.max_accuracy_drop, config.min_speedup)
    verdict = ship(candidate, samples, folder, precision, provenance, budget)
    if not verdict.passed:
        raise PromiseError(
            f"the gate refused {precision}: {'; '.join(verdict.reasons())}; "
            f"figures in {folder}/edge-refused-{precision}"
        )
    parity = verdict.parity
    print(
        f"gate passed: {parity.images} validation images, max |d logit| {parity.max_abs_logit_diff:.2e} on a scale of "
        f"{parity.logit_scale:.2f}, {parity.changed_decisions} changed decisions, accuracy "
        f"{100 * parity.accuracy_torch:.1f} -> {100 * parity.accuracy_onnx:.1f} %"
        + (f", {verdict.speed.speedup:.2f} times as fast as fp32" if verdict.speed else "")
        + f"\nbundle: {folder / 'edge'}"
    )


if __name__ == "__main__":
    run(main, "export", paths=("adapter",))
