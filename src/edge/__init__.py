"""What runs on the camera: pictures in, decisions out, with numpy, Pillow and onnxruntime only (and PyAV for video)."""

from src.edge.annotate import Annotator
from src.edge.decide import Decided, decide
from src.edge.formats import IMAGE_SUFFIXES
from src.edge.frames import Frame, Source
from src.edge.inputs import find_images, find_source
from src.edge.manifest import Manifest, find_bundle
from src.edge.memory import release_freed_memory
from src.edge.preprocess import ImageError, decode, load, resize
from src.edge.runtime import Runtime
from src.edge.signature import Signer, read_signer
from src.edge.writers import open_lines

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
