"""Suite `claims`: what is said of LoRA, measured on real images against full fine-tuning, the head alone and PEFT."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from ..backbones import image_spec
from ..package import shell_line
from ..tasks import START, choose_precision
from ..tasks.build import best_device
from .claims_page import page
from .contenders import CONTENDERS, FULL_RATE, HEAD_RATE, LORA_RATE, repeated
from .measure import measured
from .methods import ALPHA, RANK
from .sets import EPOCHS, EPOCHS_OF, ROOT, find_sets
from .suite import Column, Options, Row, Suite, Summary, choose
from .trial import Trial, run_trial, seconds_to
from .verdicts import judge, means

log = logging.getLogger(__name__)
MODELS = ("tf_efficientnet_lite0",)
SEEDS = (0, 1, 2)
BATCH = 16


def run(options: Options) -> Iterator[Row]:
    """Give one row for each training, every one in a fresh process; those that are done already as they are.

    Raises:
        ValueError: An unknown model, method or data set.
    """
    trials, skipped = _plan(options)
    for name, reason in skipped.items():
        log.warning("%s is skipped: %s", name, reason)
    return _rows(options, trials)


def summarise(options: Options, rows: Sequence[Row], machine: Mapping[str, Any]) -> Summary:
    """Return means, verdicts and what was skipped, and the page with the curves."""
    _, left_out = _plan(options)
    verdicts, averages = judge(rows), means(rows)
    skipped = [f"skipped: {name}: {reason}" for name, reason in left_out.items()]
    facts = {"skipped": left_out, "means": averages, "claims": [verdict.to_dict() for verdict in verdicts]}
    html = page(rows, averages, verdicts, [*skipped, *_errors(rows)], SUITE.notes, command(options), machine)
    return Summary(facts, (*skipped, *(verdict.line() for verdict in verdicts)), html)


def command(options: Options) -> str:
    """Return the command line that measures the same."""
    plain, words = Options(), [shell_line("benchmark", "suite=claims")]
    for name in SUITE.options:
        value = getattr(options, name)
        if name != "done" and value != getattr(plain, name):
            words.append(f"{name}={'[' + ','.join(map(str, value)) + ']' if isinstance(value, tuple) else value}")
    return " ".join(words)


def _plan(options: Options) -> tuple[list[Trial], dict[str, str]]:
    """Return the trainings, full fine-tuning first in each seed, and what is left out, with the reason."""
    methods = choose("methods", options.methods, CONTENDERS)
    names, left_out = find_sets(options.datasets, _root(options))
    trials = []
    for model in options.models or MODELS:
        image_spec(model)
        repeats = {method: of for method, of in repeated(model).items() if method in methods and of in methods}
        left_out |= {f"{method} on {model}": f"it adapts the layers of {of}" for method, of in repeats.items()}
        distinct = [method for method in CONTENDERS if method in methods and method not in repeats]
        runs = product(names, options.seeds or SEEDS, distinct)
        trials += [_trial(options, model, name, seed, method) for name, seed, method in runs]
    return trials, left_out


def _trial(options: Options, model: str, dataset: str, seed: int, method: str) -> Trial:
    return Trial(
        model,
        options.weights,
        dataset,
        seed,
        method,
        CONTENDERS[method].learning_rate,
        options.epochs or EPOCHS_OF.get(dataset, EPOCHS),
        options.batch or BATCH,
        options.image_size,
        options.limit,
    )


def _rows(options: Options, trials: Sequence[Trial]) -> Iterator[Row]:
    """Train, full fine-tuning first: its score is what the others' clocks wait for."""
    common = {
        "precision": "bf16" if "bf16" in choose_precision("auto", "auto").precision else "fp32",
        "device": best_device().type,
    }
    full: dict[tuple[str, str, int], Row] = {}
    with tempfile.TemporaryDirectory(prefix="graft-claims-") as cache:
        for number, trial in enumerate(trials, start=1):
            labels = {"suite": "claims", **vars(trial), **common}
            row = next((row for row in options.done if _is(row, labels)), None)
            if row is None:
                log.info("%d of %d: %s, seed %d, %s", number, len(trials), trial.dataset, trial.seed, trial.method)
                row = labels | measured(run_trial, trial, _root(options).resolve(), Path(cache))
            key = (trial.model, trial.dataset, trial.seed)
            if trial.method == "full":
                full[key] = row
            yield row | _time_to(full.get(key), row)


def _is(row: Row, labels: Row) -> bool:
    """Tell whether `row` is that very training, and finished."""
    return "error" not in row and all(key in row and row[key] == value for key, value in labels.items())


def _time_to(full: Row | None, row: Row) -> Row:
    """Return when the row's training had full fine-tuning's validation score of its kept epoch."""
    if "error" in row:
        return {}
    if full is None or "error" in full or full["kept_epoch"] == START:  # its head alone was there at the beginning
        return {"seconds_to_full_score": None}
    score = full["curve"][full["kept_epoch"]]["val_balanced_accuracy"]
    return {"seconds_to_full_score": seconds_to(row["curve"], score)}


def _errors(rows: Sequence[Row]) -> list[str]:
    return [f"{row['dataset']}, seed {row['seed']}, {row['method']}: {row['error']}" for row in rows if "error" in row]


def _root(options: Options) -> Path:
    return Path(options.datasets_root).expanduser() if options.datasets_root else ROOT


def _rate(value: float) -> str:
    return f"{100 * value:.1f} %"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _kilobytes(size: int) -> str:
    return f"{size / 1000:,.0f}"


SUITE = Suite(
    run,
    (
        Column("balanced_accuracy", "bal. / acc.", _rate),
        Column("auroc", "AUROC", lambda value: f"{value:.3f}"),
        Column("seconds", "s", _whole),
        Column("seconds_to_full_score", "s to / full", _whole),
        Column("peak_mib", "peak / MiB", _whole),
        Column("adapter_bytes", "adapter / kB", _kilobytes),
        Column("checkpoint_bytes", "ckpt. / kB", _kilobytes),
        Column("forgetting_max_abs", "forgot", lambda value: f"{value:.2g}"),
    ),
    (
        "Each row is one training in a process of its own. The same for all methods: epochs, batch, AdamW with warm-up "
        "and cosine, label smoothing, flips and quarter turns, a logistic head on the frozen features to begin with "
        "(LP-FT), precision auto, running statistics as they came. The epoch with the best validation "
        "score, its mean with the two epochs before, is kept. "
        f"Each set is trained for {EPOCHS} epochs, {', '.join(f'{name} for {n}' for name, n in EPOCHS_OF.items())}.",
        f"One learning rate for each method, on every set: full {FULL_RATE:g}, head {HEAD_RATE:g}, the others "
        f"{LORA_RATE:g}. Rank {RANK}, alpha {ALPHA:g}. Full fine-tuning's was chosen on validation (128 px, one seed): "
        "on tomato_freshness, 5 epochs, 1e-4 gave 76.7 %, 3e-4 71.1 %, 1e-3 60.0 % (norms in train mode 51.1, 48.9 and "
        "58.9 %); on plantvillage_apple, 4 epochs, 1e-4 gave 95.8 % and 3e-4 96.7 %.",
        "graft adapts the dense layers, graft_all every layer, graft_attention the attention or, where there is none, "
        "every convolution (left out where that is every layer); peft those of graft.",
        "bal. acc. and AUROC are of the test split, from fp32 logits of the kept epoch. s: seconds of the whole fit, "
        "the head's start and validation included. s to full: when the validation score was first at least that of "
        "full fine-tuning's kept epoch, of the same set and seed.",
        "peak: the most memory held during the fit above what was held before it (the model built, no step taken). On "
        "a CPU anonymous memory, on a GPU what torch allocated.",
        "adapter: what save() writes, for full every weight. ckpt.: the file to resume from, weights and optimiser. "
        "Each is compared with full fine-tuning's own, the adapter with its weights, one checkpoint with the other.",
        "forgot: the largest change of the original classes' logits on fixed images, adapters taken out again after "
        "the training: 0 by construction, and no measure of a method; full has nothing to take out.",
        "Claims compare graft with full fine-tuning, and with the head alone. There is room above a head of at most "
        "97 %. A score that one seed never reaches is missed. All sets count the same.",
    ),
    ("model", "dataset", "seed", "method"),
    (
        "models",
        "methods",
        "datasets",
        "datasets_root",
        "seeds",
        "epochs",
        "batch",
        "image_size",
        "limit",
        "weights",
        "done",
    ),
    summarise,
    ("contenders", "measure", "sets", "trial"),
)
