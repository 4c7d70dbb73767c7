"""Benchmarks: suites of measurements, each a function from options to rows; a new one is a file and a line here."""

from src.benchmarks import claims, data, edge, step, switch, targets
from src.benchmarks.machine import machine
from src.benchmarks.suite import Options, Row, Suite, Summary, choose
from src.benchmarks.table import markdown, terminal

SUITES: dict[str, Suite] = {
    "claims": claims.SUITE,
    "data": data.SUITE,
    "edge": edge.SUITE,
    "step": step.SUITE,
    "switch": switch.SUITE,
    "targets": targets.SUITE,
}

__all__ = ["SUITES", "Options", "Row", "Suite", "Summary", "choose", "machine", "markdown", "terminal"]
