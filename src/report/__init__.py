"""What a run leaves for people: its figures, its HTML page, its terminal summary and the table of a sweep."""

from src.report.about import About
from src.report.audit_page import print_audit, write_audit
from src.report.judge import tabulate
from src.report.page import write_report
from src.report.predictions import Predictions
from src.report.record import record
from src.report.terminal import print_figures, summary
from src.report.views import describe_views

__all__ = [
    "About",
    "Predictions",
    "describe_views",
    "print_audit",
    "print_figures",
    "record",
    "summary",
    "tabulate",
    "write_audit",
    "write_report",
]
