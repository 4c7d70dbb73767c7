"""One training from its config to its run folder: what the command train is made of."""

from .compose import compose, compose_callbacks, compose_loggers
from .gate import audit_data, remove_refusal, write_refusal
from .result import Run, command_line

__all__ = [
    "Run",
    "audit_data",
    "command_line",
    "compose",
    "compose_callbacks",
    "compose_loggers",
    "remove_refusal",
    "write_refusal",
]
