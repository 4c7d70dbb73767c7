"""Give a bundle its verdicts: thresholds into the ONNX file, compared before the bundle is replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import onnx

from ..atomic import whole_folder
from ..decision import pass_classes, verdicts
from ..edge.golden import GOLDEN, Golden
from ..edge.manifest import MODEL, SOLE, Manifest, find_bundle
from ..edge.runtime import Runtime
from ..edge.session import THREADS, VERDICT, Named, open_session, run_each_named
from ..edge.signature import SIGNATURE, Signer
from ..edge.verdicts import decided_by, require_verdicts
from ..spec import DecisionSpec, TaskSpec
from .bundle import PARITY, write_bundle
from .model_file import encode_model
from .verdict_nodes import add_verdict


def write_decision(
    bundle: Path,
    decision: DecisionSpec,
    line: str | None = None,
    sign: Signer | None = None,
    beside: Callable[[bytes], Mapping[str, bytes]] | None = None,
) -> None:
    """Give a bundle the output `verdict`, in place of an earlier one; the bundle is replaced whole or not at all.

    The network, its other outputs and the golden samples stay as they are, to the bit: both files run the golden
    samples, and numpy makes the same verdicts of what the new one gives.

    Args:
        bundle: The bundle, its `model.onnx`, or a run folder that holds `edge`.
        decision: What the verdicts are made by.
        line: One of several lines that share a base; None in a bundle of one line.
        sign: Signs the manifest anew, where the bundle is signed.
        beside: Returns further files of the bundle by name, such as a certificate, from the content of the new model;
            those of an earlier call are left out.

    Raises:
        ValueError: There is no whole bundle, it is signed and `sign` is None, the decision is not for its task, or the
            new file does not give the outputs of the old one.
        WriteError: The new bundle cannot be written.
    """
    folder = find_bundle(bundle).resolve()
    manifest = Manifest.read(folder)
    held = manifest.read_files(folder)
    _require_line(manifest, line)
    if sign is None and (folder / SIGNATURE).exists():
        raise ValueError(f"{folder} is signed: sign the new one too, by sign=KEY")
    _require_whole(decision)
    sole = manifest.lines[SOLE]
    if missing := {GOLDEN, PARITY} - held.keys():
        raise ValueError(f"{folder} has no {', '.join(sorted(missing))}: export the model again")
    Runtime(folder)  # refuses a bundle that is not served as it is
    golden = Golden.from_bytes(held[GOLDEN])
    before = _run(held[MODEL], golden)
    _require_made_for(sole.task, decision, before)
    proto = onnx.load_model_from_string(held[MODEL])
    add_verdict(proto, sole.task, decision)
    model = encode_model(proto)
    _compare(before, _run(model, golden), sole.task, decision)
    contents = {**(beside(model) if beside else {}), MODEL: model, GOLDEN: held[GOLDEN]}
    certified = replace(manifest, lines={SOLE: replace(sole, decision=decision)})
    with whole_folder(folder) as new:
        write_bundle(new, contents, json.loads(held[PARITY]), certified, sign)
        Runtime(new)  # before it takes the place of the old one


def _require_line(manifest: Manifest, line: str | None) -> None:
    if manifest.names:
        raise ValueError(
            f"a shared base cannot be certified yet ({', '.join(manifest.names)}): export each line by itself"
        )
    if line is not None:
        raise ValueError(f"no line {line!r}, the bundle is of one line: leave out adapter=")


def _require_whole(decision: DecisionSpec) -> None:
    """Refuse what no verdict of a file could follow."""
    if not decision.decides:
        raise ValueError("this decision has no thresholds: certify or choose them first")
    if decision.origin == "estimated":
        raise ValueError("an estimate puts no thresholds into a bundle: certify on images that nothing else has used")
    if decision.temperatures:
        raise ValueError("the probabilities of a bundle are divided by no temperature after its export: leave it out")
    if decision.strange_above is not None:
        raise ValueError("the bundle does not say how strange a picture is, so strange_above must be null")


def _require_made_for(task: TaskSpec, decision: DecisionSpec, outputs: Named) -> None:
    verdicts(task, decision, decided_by(outputs, task))
    if decision.pass_classes:
        pass_classes(task, decision.pass_classes)


def _run(model: bytes, golden: Golden) -> Named:
    return run_each_named(open_session(model, THREADS), golden.inputs)


def _compare(before: Named, after: Named, task: TaskSpec, decision: DecisionSpec) -> None:
    """Refuse a file that gives other outputs than before, or verdicts that are not numpy's."""
    for name, values in before.items():
        if name != VERDICT and values.tobytes() != after[name].tobytes():
            raise ValueError(f"with its verdict the file would give other {name}: export the model again")
    require_verdicts(after, task, decision)
