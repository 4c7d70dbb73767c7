"""Errors of a kind of their own, for every part of Graft to raise."""

from __future__ import annotations


class LinesError(ValueError):
    """Wrong input that takes several lines to put right; a command prints them as they are."""
