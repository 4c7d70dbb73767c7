"""The files of one line in a bundle, and its adapter beside a base that many lines share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import onnxruntime

from .golden import GOLDEN
from .manifest import SOLE

ADAPTER_SUFFIX, GOLDEN_SUFFIX = ".onnx_adapter", ".npz"


def adapter_file(line: str) -> str:
    """Return the name of the adapter of one of several lines."""
    return f"{line}{ADAPTER_SUFFIX}"


def golden_file(line: str) -> str:
    """Return the name of the golden samples of a line; those of an only one have a name of their own."""
    return GOLDEN if line == SOLE else f"{line}{GOLDEN_SUFFIX}"


class ActiveAdapter:
    """An `.onnx_adapter` in memory.

    Attributes:
        held: What the options of a run of the base name, to decide with it; they only point to it.
    """

    def __init__(self, content: bytes) -> None:
        """Load the file's content.

        Raises:
            ValueError: This onnxruntime knows no adapters, or not this one.
        """
        if not hasattr(onnxruntime, "LoraAdapter"):
            raise ValueError(f"onnxruntime {onnxruntime.__version__} knows no adapters: install 1.20 or newer")
        self.held = onnxruntime.LoraAdapter()
        # it maps a file: one of its own, which nobody else can change or cut under it
        with _private_file(content) as file:
            try:
                self.held.Load(str(file))
            except Exception as error:  # onnxruntime's own exceptions share no public base class
                raise ValueError("it is no adapter that onnxruntime can read: copy the bundle again") from error


@contextmanager
def _private_file(content: bytes) -> Iterator[Path]:
    """Write a file of one's own, in the system's folder for temporary ones.

    Raises:
        ValueError: It cannot be written there.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            file = Path(folder) / f"line{ADAPTER_SUFFIX}"
            file.write_bytes(content)
        except OSError as error:
            raise ValueError(
                f"the adapter needs {len(content):,} bytes in the folder for temporary files, which cannot be written "
                f"({error.strerror}): make room there, or set TMPDIR to another folder"
            ) from error
        yield file
