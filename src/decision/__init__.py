"""Decisions that somebody signs: thresholds with a promise.

SciPy is imported where something is fitted, inside the functions of `binomial` and `temperature`: what applies a
decision needs numpy alone.
"""

from .promise import CannotPromise
from .threshold import CertifiedRejection, CertifiedThreshold, certify_rejection, certify_threshold

__all__ = [
    "CannotPromise",
    "CertifiedRejection",
    "CertifiedThreshold",
    "certify_rejection",
    "certify_threshold",
]
