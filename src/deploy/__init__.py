"""Ship a trained model: its ONNX graph, the gate, and the bundle for the camera."""

from .bundle import write_bundle
from .gate import Verdict
from .graph import ExportOptions, export_onnx
from .limits import Budget, Limits
from .openvino import require_openvino
from .parity import Parity
from .precisions import FP32, find_precision
from .sharing import Shared, ship_lines
from .shipping import ship
from .trial import Candidate

__all__ = [
    "FP32",
    "Budget",
    "Candidate",
    "ExportOptions",
    "Limits",
    "Parity",
    "Shared",
    "Verdict",
    "export_onnx",
    "find_precision",
    "require_openvino",
    "ship",
    "ship_lines",
    "write_bundle",
]
