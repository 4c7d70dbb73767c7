"""Output for people: metrics files, HTML pages, terminal summaries and the table of a sweep."""

from .about import About
from .audit_page import print_audit, write_audit
from .certificate import render_certificate
from .certificate_words import say_certificate
from .page import write_report
from .predictions import Predictions
from .results import record, tabulate
from .terminal import print_figures, summary
from .views import describe_views

__all__ = [
    "About",
    "Predictions",
    "describe_views",
    "print_audit",
    "print_figures",
    "record",
    "render_certificate",
    "say_certificate",
    "summary",
    "tabulate",
    "write_audit",
    "write_report",
]
