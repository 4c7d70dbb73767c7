"""Golden samples: inputs and outputs by which a bundle tests itself before it serves."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

GOLDEN = "golden.npz"
_OLDEST = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that equal arrays give equal zip files


@dataclass(frozen=True, eq=False)
class Golden:
    """What `golden.npz` holds.

    Attributes:
        inputs: Inputs of the network, without the batch axis.
        outputs: Its outputs at the export: logits, probabilities and decision; the first axis is that of the inputs.
        tolerance: Allowed difference of logits, probabilities and values on another machine, relative to the largest
            one or to 1, whichever is larger; decisions must be equal.
    """

    inputs: Sequence[NDArray[Any]]
    outputs: tuple[NDArray[Any], ...]
    tolerance: float

    def to_bytes(self) -> bytes:
        """Return the file's content; the same values give the same bytes."""
        arrays = {f"input_{number}": item for number, item in enumerate(self.inputs)}
        arrays |= {f"output_{number}": item for number, item in enumerate(self.outputs)}
        arrays["tolerance"] = np.array(self.tolerance)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in arrays.items():
                content = io.BytesIO()
                np.lib.format.write_array(content, np.asarray(array, order="C"), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy", _OLDEST), content.getvalue(), zipfile.ZIP_DEFLATED)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read the result of `to_bytes`, without unpickling.

        Raises:
            ValueError: It is no such file.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as held:
                inputs, outputs = (
                    [held[f"{kind}_{number}"] for number in range(sum(name.startswith(kind) for name in held))]
                    for kind in ("input", "output")
                )
                tolerance = float(held["tolerance"])
                if not inputs or not 0 < tolerance < 1:
                    raise ValueError(f"{len(inputs)} inputs and a tolerance of {tolerance:g} prove nothing")
                return cls(inputs, tuple(outputs), tolerance)
        except (AttributeError, KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{GOLDEN} cannot be read ({error}): export the model again") from error

    def check(self, found: Sequence[NDArray[Any]]) -> None:
        """Compare the outputs of this machine with those of the export.

        Raises:
            ValueError: They are not the same within the tolerance.
        """
        for expected, output in zip(self.outputs, found, strict=True):
            near = self.tolerance * max(1.0, np.abs(expected).max(initial=0.0)) if expected.dtype.kind == "f" else 0
            if expected.shape != output.shape or not np.allclose(expected, output, rtol=0, atol=near):
                raise ValueError(
                    f"the bundle does not give its own golden outputs on this machine ({near:g} apart at most): "
                    "try another version of onnxruntime, or export the model on a machine like this one"
                )
