"""Errors of a kind of their own, for every part of Graft to raise."""

from __future__ import annotations


class LinesError(ValueError):
    """Wrong input that takes several lines to put right; a command prints them as they are."""


class TooFewImages(ValueError):
    """A class has too few images to give one to every split: no training can begin, and an audit tells it."""
