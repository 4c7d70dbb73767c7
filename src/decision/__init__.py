"""Decisions that somebody signs: thresholds with a promise, a band for a person, and what applies them.

SciPy is imported inside the functions that fit, in `binomial` and `calibration`: what applies needs numpy alone.
"""

from ..spec import DecisionSpec
from .apply import VERDICTS, certainties, defect_scores, pass_classes, tally, verdicts, words
from .band import Band, certify_band, joint_confidence, measure
from .calibration import calibrated, fit_label_temperatures, fit_temperature
from .chosen import choose_by_cost, choose_by_f1
from .decided import CertifiedDecision, certify_decided, propose_limits
from .evidence import Evidence
from .fit import Fitted, Judgements, Objective, fit_decision, needs_validation, require_fitting
from .labels import CertifiedLabels, certify_labels
from .mahalanobis import Mahalanobis, fit_mahalanobis
from .margin import CertifiedMargin, certify_margin, measure_limits
from .promise import CannotPromise, percent, percent_at_most
from .reliability import CalibrationFigures, Reliability, class_figures, label_figures, reliability
from .strange import StrangeThreshold, fit_strange_threshold
from .threshold import CertifiedRejection, CertifiedThreshold, certify_rejection, certify_threshold
from .tradeoff import Tradeoff, trade_off

__all__ = [
    "VERDICTS",
    "Band",
    "CalibrationFigures",
    "CannotPromise",
    "CertifiedDecision",
    "CertifiedLabels",
    "CertifiedMargin",
    "CertifiedRejection",
    "CertifiedThreshold",
    "DecisionSpec",
    "Evidence",
    "Fitted",
    "Judgements",
    "Mahalanobis",
    "Objective",
    "Reliability",
    "StrangeThreshold",
    "Tradeoff",
    "calibrated",
    "certainties",
    "certify_band",
    "certify_decided",
    "certify_labels",
    "certify_margin",
    "certify_rejection",
    "certify_threshold",
    "choose_by_cost",
    "choose_by_f1",
    "class_figures",
    "defect_scores",
    "fit_decision",
    "fit_label_temperatures",
    "fit_mahalanobis",
    "fit_strange_threshold",
    "fit_temperature",
    "joint_confidence",
    "label_figures",
    "measure",
    "measure_limits",
    "needs_validation",
    "pass_classes",
    "percent",
    "percent_at_most",
    "propose_limits",
    "reliability",
    "require_fitting",
    "tally",
    "trade_off",
    "verdicts",
    "words",
]
