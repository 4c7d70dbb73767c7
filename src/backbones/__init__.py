"""Backbones: timm models with their weights and the ImageSpec that goes with them."""

from .create import Backbone, create_backbone, image_spec

__all__ = ["Backbone", "create_backbone", "image_spec"]
