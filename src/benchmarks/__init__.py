"""Benchmarks: suites of measurements, each a function from options to rows; a new one is a file and a line here."""

from . import claims, data, edge, step, switch, targets
from .machine import machine
from .provenance import Provenance, provenance
from .suite import Options, Row, Suite, Summary, choose
from .table import markdown, terminal

SUITES: dict[str, Suite] = {
    "claims": claims.SUITE,
    "data": data.SUITE,
    "edge": edge.SUITE,
    "step": step.SUITE,
    "switch": switch.SUITE,
    "targets": targets.SUITE,
}

__all__ = [
    "SUITES",
    "Options",
    "Provenance",
    "Row",
    "Suite",
    "Summary",
    "choose",
    "machine",
    "markdown",
    "provenance",
    "terminal",
]
