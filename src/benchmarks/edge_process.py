"""How soon a fresh `predict` decides, and how much memory it takes: a process as on a camera, without torch."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from ..package import NAME
from .edge_files import Bundle
from .measure import PICKS
from .suite import Row

ROOT = Path(__file__).parents[2]
BARE = ("-c", "import numpy, onnxruntime, PIL.Image; print('loaded', flush=True)")


def start_bundles(bundles: Sequence[Bundle], pictures: Path, rounds: int) -> list[Row]:
    """Start `predict` for each bundle, and a process that only imports its libraries, in turn.

    Args:
        bundles: What decides.
        pictures: A folder of image files.
        rounds: How often each is started.

    Returns:
        The figures of each bundle: `start_seconds` is from the start of the process to its first line, without those of
        the bare process; `peak_bytes` is the largest memory ever resident (Linux only).

    Raises:
        RuntimeError: A process gave no line.
    """
    commands = {bundle.name: _predict(bundle, pictures) for bundle in bundles} | {"bare": BARE}
    found: Mapping[str, list[tuple[float, int]]] = {name: [] for name in commands}
    random = Random(0)
    for _ in range(rounds):
        for name in random.sample(list(commands), len(commands)):
            found[name].append(watch(commands[name]))
    imports = [seconds for seconds, _ in found["bare"]]
    return [_row([each[0] for each in found[b.name]], [each[1] for each in found[b.name]], imports) for b in bundles]


def watch(arguments: Sequence[str]) -> tuple[float, int]:
    """Run Python to its end; return the seconds to its first line, and the most bytes it held by any line, 0 unknown.

    Its own account is read, because Linux hands the parent's peak on to what `getrusage` says of a child.

    Raises:
        RuntimeError: It gave no line, or failed.
    """
    begin = time.perf_counter()
    with subprocess.Popen(
        (sys.executable, *arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        first, most = 0.0, 0
        for _ in process.stdout:
            first = first or time.perf_counter() - begin
            most = max(most, _peak(process.pid))
        errors = process.stderr.read()
    if process.returncode or not first:
        raise RuntimeError(f"the process ended with {process.returncode}: {errors}")
    return first, most


def _predict(bundle: Bundle, pictures: Path) -> tuple[str, ...]:
    return "-m", f"{NAME}.predict", f"model={bundle.folder}", f"input={pictures}"


def _peak(pid: int) -> int:
    with suppress(OSError, IndexError):  # no Linux, or it has just ended
        return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return 0


def _row(seconds: Sequence[float], peaks: Sequence[int], imports: Sequence[float]) -> Row:
    row: Row = {"starts": len(seconds)}
    for name, pick in PICKS.items():
        row |= {f"{name}start_seconds": pick(seconds) - pick(imports), f"{name}import_seconds": pick(imports)}
    return row | ({"peak_bytes": max(peaks)} if all(peaks) else {})
