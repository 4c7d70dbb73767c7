"""The files of one line in a bundle, and its adapter for a base that several lines share."""

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
    """Return the file name of the adapter of one of several lines."""
    return f"{line}{ADAPTER_SUFFIX}"


def golden_file(line: str) -> str:
    """Return the file name of the golden samples of a line."""
    return GOLDEN if line == SOLE else f"{line}{GOLDEN_SUFFIX}"


class ActiveAdapter:
    """An `.onnx_adapter` in memory.

    Attributes:
        held: The adapter for the options of a run; they hold only a pointer to it.
    """

    def __init__(self, content: bytes) -> None:
        """Load the file's content.

        Raises:
            ValueError: This onnxruntime has no adapters, or cannot read this one.
        """
        if not hasattr(onnxruntime, "LoraAdapter"):
            raise ValueError(f"onnxruntime {onnxruntime.__version__} knows no adapters: install 1.20 or newer")
        self.held = onnxruntime.LoraAdapter()
        # onnxruntime maps the file, so it gets a private copy that nobody can change under it.
        with _private_file(content) as file:
            try:
                self.held.Load(str(file))
            except Exception as error:  # onnxruntime's own exceptions share no public base class
                raise ValueError("it is no adapter that onnxruntime can read: copy the bundle again") from error


@contextmanager
def _private_file(content: bytes) -> Iterator[Path]:
    """Write a private temporary file.

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
