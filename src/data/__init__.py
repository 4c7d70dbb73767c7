"""Where images come from, how they are split, and how they reach the network."""

from .datamodule import ImageData
from .dataset_index import DatasetIndex, Sample
from .elpv import ElpvData
from .folder import FolderData
from .huggingface import HuggingFaceData
from .seedlings import SeedlingsData
from .table import TableData

__all__ = [
    "DatasetIndex",
    "ElpvData",
    "FolderData",
    "HuggingFaceData",
    "ImageData",
    "Sample",
    "SeedlingsData",
    "TableData",
]
