"""From a merged model to the bundle on the camera: the graph, the gate, the files."""

from src.deploy.bundle import write_bundle
from src.deploy.gate import Verdict
from src.deploy.graph import Shape, export_onnx
from src.deploy.limits import Budget, Limits, require_precision
from src.deploy.openvino import require_openvino
from src.deploy.parity import Parity
from src.deploy.sharing import LineCandidate, Shared, ship_lines
from src.deploy.shipping import Candidate, ship

__all__ = [
    "Budget",
    "Candidate",
    "Limits",
    "LineCandidate",
    "Parity",
    "Shape",
    "Shared",
    "Verdict",
    "export_onnx",
    "require_openvino",
    "require_precision",
    "ship",
    "ship_lines",
    "write_bundle",
]
