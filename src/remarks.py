"""What the libraries below remark on, which says nothing to a person who runs a command."""

from __future__ import annotations

import logging
import warnings

_MESSAGES = (
    # of Lightning
    ".*does not have many workers.*",
    ".*TPU available.*",
    ".*number of training batches.*smaller than the logging interval.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*module\\(s\\) in eval mode.*",  # frozen norms are meant to be
    ".*Please add the following callbacks.*",  # early stopping, which was left out
    ".*LeafSpec.*",
    "Glyph ",  # of matplotlib: the reader's browser has the font that we lack
    "Detected pickle protocol",  # of torch, before it refuses a file
)
_MODULES = r"(torch\.(onnx|export|_export|fx|jit|_dynamo|utils)|onnxscript|onnx_ir|sklearn|cleanlab)(\.|$)"
_EXPORTERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")
_TALKATIVE = ("lightning.pytorch", "lightning.fabric", "timm")


def ignore_remarks() -> None:
    """Ignore them for as long as the process lives: for the beginning of a command, before there are threads."""
    for message in _MESSAGES:
        warnings.filterwarnings("ignore", message)
    warnings.filterwarnings("ignore", module=_MODULES)
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)
    for library in _EXPORTERS:
        logging.getLogger(library).setLevel(logging.ERROR)
    # onnxruntime's tools give their advice by the root logger itself, which nothing of ours does.
    logging.getLogger().addFilter(_is_grave)


def _is_grave(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
