"""What runs on the camera: pictures in, decisions out, with numpy, Pillow and onnxruntime only (and PyAV for video)."""

from ..allocator import release_freed_memory
from .annotate import Annotator
from .decide import Decided, decide
from .formats import IMAGE_SUFFIXES
from .frames import Frame, Source
from .inputs import find_images, find_source
from .manifest import Manifest, find_bundle
from .preprocess import ImageError, decode, load, resize
from .runtime import Runtime
from .signature import Signer, read_signer
from .writers import open_lines

__all__ = [
    "IMAGE_SUFFIXES",
    "Annotator",
    "Decided",
    "Frame",
    "ImageError",
    "Manifest",
    "Runtime",
    "Signer",
    "Source",
    "decide",
    "decode",
    "find_bundle",
    "find_images",
    "find_source",
    "load",
    "open_lines",
    "read_signer",
    "release_freed_memory",
    "resize",
]
