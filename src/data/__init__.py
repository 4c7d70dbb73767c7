"""Where images come from, how they are split, and how they reach the network."""

from src.data.datamodule import ImageData
from src.data.elpv import ElpvData
from src.data.folder import FolderData
from src.data.listing import Listing, Sample

__all__ = ["ElpvData", "FolderData", "ImageData", "Listing", "Sample"]
