"""The engine on the oldest torch, timm and Lightning that pyproject.toml allows, in an environment of its own.

torch's wheel for Linux wants 3 GB of CUDA libraries, of which a CPU calls nothing. Stubs stand in for them here: Python
is told to look up a function when it is called, not when its library is loaded. What is left, 1.2 GB to load and 2.6
on the disk, is kept under `~/.cache/graft/oldest` for the next run.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "graft" / "oldest"
TOOLS = ("pytest", "hypothesis")
READ_WHEN_LOADED = ("nvidia-cuda-runtime", "nvidia-cuda-cupti", "nvidia-cufile")  # small; of the others nothing is
LAZY = "import os, sys\nsys.setdlopenflags(os.RTLD_LAZY)\n"
TESTS = (
    "tests/test_stopped.py::test_a_resumed_training_equals_an_unbroken_one",
    *("tests/backbones/test_create.py", "tests/tasks/test_restore.py", "tests/tasks/test_trainer.py"),
    *(f"tests/lora/engine/test_{name}.py" for name in ("linear", "modes", "onednn", "products", "readonly", "weight")),
    *(f"tests/lora/test_{name}.py" for name in ("surgery", "fold", "training_modes")),
)
LEFT_OUT = {  # parts of test names: what is left out, and why
    "efficientvit_m0": "timm 1.0.20 builds it for its own size only",
    "computes_what_an_evaluation_does": "oneDNN of torch 2.8 rounds some fused ReLUs in another order",
    "as_near_to_the_exact_ones": "fp16 on a CPU, which no training takes, rounds twice as much there",
    "compiled": "a minute long, and of torch's own making",
    "ddp": "as long",
}
OFFLINE = ("Could not find a version", "Connection", "Temporary failure", "No matching distribution")


def pins() -> list[str]:
    """Return every lower bound of what a training needs, as a requirement of that very version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    tools = [line for line in extras["dev"] if re.split(r"[^\w-]", line)[0] in TOOLS]
    bounds = dict(
        re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join([*project["dependencies"], *extras["train"], *tools]), re.M)
    )
    return [f"{name}=={bound}" for name, bound in bounds.items()]


def pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode and os.environ.get("CI") != "true" and any(sign in ended.stderr for sign in OFFLINE):
        pytest.skip(f"no package index holds it: {ended.stderr.strip().splitlines()[-1]}")
    assert ended.returncode == 0, ended.stderr


def packages(python: Path) -> Path:
    return next((python.parents[1] / "lib").glob("python3*/site-packages"))


def want_no_cuda(python: Path) -> None:
    """Take CUDA from what torch requires, but for the small libraries that are read when it is loaded."""
    metadata = next(packages(python).glob("torch-*.dist-info/METADATA"))
    lines = metadata.read_text().splitlines(keepends=True)
    cuda = [line for line in lines if line.startswith(("Requires-Dist: nvidia-", "Requires-Dist: triton"))]
    metadata.write_text("".join(line for line in lines if line not in cuda))
    small = [line.split(":", 1)[1].split(";")[0] for line in cuda if any(name in line for name in READ_WHEN_LOADED)]
    if small:
        pip(python, "--no-deps", *(requirement.replace(" ", "") for requirement in small))


def stand_in_for_cuda(python: Path) -> None:
    """Put a library that does nothing under every name that torch misses when it is loaded."""
    (packages(python) / "sitecustomize.py").write_text(LAZY)
    stub = next(packages(python).glob("markupsafe/_speedups*.so"))  # it needs nothing but libc
    while True:
        ended = subprocess.run([python, "-c", "import torch"], capture_output=True, text=True, check=False)
        missing = re.search(r"(lib[\w.-]+\.so[.\d]*): cannot open shared object", ended.stderr)
        if missing is None:
            assert ended.returncode == 0, ended.stderr
            return
        shutil.copy(stub, packages(python) / "torch" / "lib" / missing[1])


@pytest.fixture(scope="module")
def oldest() -> Path:
    """Return the Python of the environment, made anew where the bounds have changed."""
    if sys.version_info >= (3, 14):
        pytest.skip("torch 2.8 has no wheel above Python 3.13")
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    python, wanted = FOLDER / "bin" / "python", "\n".join([sys.version, *pins()])
    with FileLock(f"{FOLDER}.lock"):
        made = FOLDER / "made"
        if not made.is_file() or made.read_text() != wanted:
            shutil.rmtree(FOLDER, ignore_errors=True)
            venv.create(FOLDER, with_pip=True, symlinks=True)
            pip(python, "--no-deps", *(pin for pin in pins() if pin.startswith("torch==")))
            want_no_cuda(python)
            pip(python, *pins())
            stand_in_for_cuda(python)
            made.write_text(wanted)
    return python


@pytest.mark.slow
def test_the_engine_holds_on_the_oldest_versions(oldest):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    names = ("torch", "timm", "lightning")
    code = f"import importlib.metadata as m; print(*(f'{{n}}=={{m.version(n)}}' for n in {names}))"
    shown = subprocess.run([oldest, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    expected = [pin for pin in pins() if pin.split("==")[0] in names]
    assert len(expected) == 3 and all(
        f"{pin}.0".startswith(version) for pin, version in zip(sorted(expected), sorted(shown), strict=True)
    ), shown
    command = [oldest, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-o", "filterwarnings="]
    command += ["-k", " and ".join(f"not {part}" for part in LEFT_OUT), *TESTS]
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and " passed" in ended.stdout, ended.stdout[-4000:] + ended.stderr[-2000:]
