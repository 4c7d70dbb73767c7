"""What runs on the camera: pictures in, decisions out, with numpy, Pillow and onnxruntime only."""

from src.edge.inputs import find_images
from src.edge.manifest import Manifest, find_bundle
from src.edge.preprocess import IMAGE_SUFFIXES, ImageError, decode, load, resize
from src.edge.runtime import Runtime

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageError",
    "Manifest",
    "Runtime",
    "decode",
    "find_bundle",
    "find_images",
    "load",
    "resize",
]
