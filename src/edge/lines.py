"""The adapter of one line, beside a base that many lines share."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnxruntime

ADAPTER_SUFFIX, GOLDEN_SUFFIX = ".onnx_adapter", ".npz"


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
        try:
            # it maps a file: one of its own, which nobody else can change or cut under it
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                file = Path(folder) / f"line{ADAPTER_SUFFIX}"
                file.write_bytes(content)
                self.held.Load(str(file))
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise ValueError("it is no adapter that onnxruntime can read: copy the bundle again") from error
