"""The number formats of a shipped file: one file each, with how it is converted and what it may cost."""

import importlib
import pkgutil

from ...choices import FP32
from .precision import Conversion, Precision
from .registry import PRECISIONS, find_precision

__all__ = ["FP32", "PRECISIONS", "Conversion", "Precision", "find_precision"]

# A file of this folder is all that a new precision needs. It bears the precision's name, by which
# commands know it without an import.
for _file in pkgutil.iter_modules(__path__):
    _precision = getattr(importlib.import_module(f"{__name__}.{_file.name}"), "PRECISION", None)
    if _precision is not None:
        PRECISIONS[_precision.name] = _precision
