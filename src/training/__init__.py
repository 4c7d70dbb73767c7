"""One training from its config to its run folder: what the command train is made of."""

from .gate import audit_data, remove_refusal, write_refusal

__all__ = ["audit_data", "remove_refusal", "write_refusal"]
