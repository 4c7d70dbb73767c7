"""Ship a trained model: its ONNX graph, the gate, and the bundle for the camera."""

from .bundle import write_bundle
from .gate import Verdict
from .graph import ExportOptions, export_onnx
from .limits import Budget, Limits, require_precision
from .openvino import require_openvino
from .parity import Parity
from .sharing import Shared, ship_lines
from .shipping import ship
from .trial import Candidate

__all__ = [
    "Budget",
    "Candidate",
    "ExportOptions",
    "Limits",
    "Parity",
    "Shared",
    "Verdict",
    "export_onnx",
    "require_openvino",
    "require_precision",
    "ship",
    "ship_lines",
    "write_bundle",
]
