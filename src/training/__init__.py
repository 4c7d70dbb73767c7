"""One training from its config to its run folder: what the command train is made of."""

from .compose import compose, compose_callbacks, compose_loggers
from .gate import audit_data, refuse, remove_refusal
from .result import Run, command_line

__all__ = [
    "Run",
    "audit_data",
    "command_line",
    "compose",
    "compose_callbacks",
    "compose_loggers",
    "refuse",
    "remove_refusal",
]
