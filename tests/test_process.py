"""What belongs to the whole process is changed where a process begins, and nowhere that a thread or a caller may be."""

import ast
import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image

from src.data.quality.image_stats import measure
from src.edge.preprocess import read_picture

ROOT = Path(__file__).parents[1]
SHARED = {
    *("catch_warnings", "simplefilter", "filterwarnings", "signal.signal", "os.chdir", "os.umask", "os.putenv"),
    *("setlocale", "seed_everything", "manual_seed", "fork_rng", "set_rng_state", "random.seed", "set_num_threads"),
    *("redirect_stdout", "redirect_stderr", "basicConfig", "setLevel", "addFilter", "logging.disable", "rc_context"),
    *("set_default_dtype", "set_default_device", "seterr", "setrecursionlimit", "dup2", "setdefaulttimeout"),
}
ASSIGNED = ("os.environ", "sys.stdout", "sys.stderr", "sys.argv", "constants.", "rcParams", "torch.backends.")
ALLOWED = {
    # where a process begins
    "__main__.py": {"sys.argv"},
    "command.py": {"basicConfig", "os.environ", "sys.argv", "sys.stderr"},
    "remarks.py": {"filterwarnings", "setLevel", "addFilter"},
    "predict.py": {"signal.signal"},
    "benchmark.py": {"signal.signal", "setLevel"},
    "training/compose.py": {"seed_everything"},
    "benchmarks/trial.py": {"seed_everything", "redirect_stdout"},  # a process of its own
    "benchmarks/edge_files.py": {"manual_seed"},
    # a training has its process to itself: dropout draws from the device's one generator
    "tasks/base.py": {"manual_seed"},
    "tasks/probe.py": {"fork_rng"},
    # a model that somebody looks at may draw in its forward, from that generator too; it is put back
    "lora/seeded.py": {"fork_rng", "manual_seed"},
    # libraries that have no other switch
    "backbones/weights.py": {"constants."},  # under a lock
    "report/plots.py": {"rc_context"},
    "deploy/quantise.py": {"setLevel"},
}


def changes(tree):
    """Yield what a file changes of the process. A generator of one's own may be seeded."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if not called.startswith(("torch.Generator()", "np.random.default_rng")):
                yield from (name for name in SHARED if called == name or called.endswith(f".{name}"))
            if called.startswith("os.environ.") and called != "os.environ.get":
                yield "os.environ"
        targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else []
        for target in map(ast.unparse, targets):
            yield from (name for name in ASSIGNED if target.startswith(name) or f".{name}" in target)


def test_the_state_of_the_process_is_changed_in_few_places():
    found = {}
    for path in (ROOT / "src").rglob("*.py"):
        names = set(changes(ast.parse(path.read_text())))
        if names:
            found[str(path.relative_to(ROOT / "src"))] = names
    assert found == ALLOWED


@pytest.mark.parametrize(
    "line",
    [
        "with warnings.catch_warnings(): pass",
        "signal.signal(1, f)",
        "os.environ['A'] = '1'",
        "os.environ.update(a)",
        "torch.manual_seed(1)",
        "np.random.seed(1)",
        "sys.stdout = file",
        "constants.HF_HUB_OFFLINE = True",
    ],
)
def test_what_would_change_it_is_found(line):
    assert list(changes(ast.parse(line)))


def test_threads_that_measure_pictures_change_nothing(tmp_path):
    buffer = io.BytesIO()
    Image.new("P", (20, 16)).save(buffer, "PNG", transparency=b"\0\1")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    filters, state = list(warnings.filters), torch.get_rng_state()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: measure(read_picture(tmp_path / "a.png")), range(60)))
    assert warnings.filters == filters and torch.equal(torch.get_rng_state(), state)
