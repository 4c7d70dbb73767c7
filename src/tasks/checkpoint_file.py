"""Write checkpoints atomically, with an error that names the file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from ..atomic import make_folder, write_bytes


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's own, but for the writing: its error names a temporary file and no way out."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        Raises:
            WriteError: It cannot be written; an earlier one is left as it was.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        make_folder(Path(path).parent)
        write_bytes(Path(path), buffer.getvalue())
