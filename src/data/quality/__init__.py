"""The data gate: what one decoding tells of a picture, and what a set of pictures may not hold."""

from .gate import STOPS, Audit, check

__all__ = ["STOPS", "Audit", "check"]
