"""From a merged model to the bundle on the camera: the graph, the gate, the files."""

from src.deploy.bundle import Candidate, ship, write_bundle
from src.deploy.graph import export_onnx
from src.deploy.parity import Limits, Parity, check_parity

__all__ = ["Candidate", "Limits", "Parity", "check_parity", "export_onnx", "ship", "write_bundle"]
