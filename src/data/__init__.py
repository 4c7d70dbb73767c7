"""Where images come from, how they are split, and how they reach the network."""

from .datamodule import ImageData
from .elpv import ElpvData
from .folder import FolderData
from .huggingface import HuggingFaceData
from .listing import Listing, Sample
from .seedlings import SeedlingsData
from .table import TableData

__all__ = [
    "ElpvData",
    "FolderData",
    "HuggingFaceData",
    "ImageData",
    "Listing",
    "Sample",
    "SeedlingsData",
    "TableData",
]
