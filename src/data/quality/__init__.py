"""The data gate: statistics of each image, and checks on a set of images before training."""

from .gate import STOPS, Audit, check

__all__ = ["STOPS", "Audit", "check"]
