"""Where images come from, how they are split, and how they reach the network."""

from src.data.datamodule import ImageData
from src.data.elpv import ElpvData
from src.data.folder import FolderData
from src.data.huggingface import HuggingFaceData
from src.data.listing import Listing, Sample
from src.data.seedlings import SeedlingsData
from src.data.table import TableData

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
