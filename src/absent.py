"""What is said of a path that is not there: by a command at once, and by the library that would read it."""

from __future__ import annotations

from pathlib import Path

from .package import shell_line

NO_SOURCE = """\
no images are given: name a folder with one folder of images a class by data.root=DIR,
a table with the columns path and label (CSV, Parquet) by data=table data.table=FILE, or
a data set of the Hugging Face hub by data=huggingface data.path=USER/NAME; data=seedlings draws plants, offline."""
NO_TABLE = "no table is given: set data.table=FILE, a CSV or Parquet file with columns path and label"
NO_HUB_SET = "no data set is given: set data.path=USER/NAME of the Hugging Face hub, or a local folder"


def no_trained_file(path: str | Path) -> str:
    """Say that there is no trained file."""
    return f"there is no {path}: give an adapter file, its run folder, or exports/<name>/latest"


def no_bundle(path: str | Path) -> str:
    """Say that there is no bundle."""
    return f"no bundle at {path}: give a folder with model.onnx, or run {shell_line('export', 'adapter=RUN')} first"


def no_pictures(source: str) -> str:
    """Say that what should hold pictures is not there, or is neither a file nor a folder."""
    problem = "is neither a file nor a folder" if Path(source).exists() else "is not there"
    return (
        f"{source!r} {problem}: give a picture, a folder, a pattern such as 'parts/*.png', a video or a "
        "camera (rtsp://camera/1, /dev/video0)"
    )


def no_class_folders(root: Path) -> str:
    """Say that the folder of the class folders is none."""
    problem = "is not a folder" if root.exists() else "does not exist"
    return f"{root} {problem}: set data.root=DIR, a folder with one folder of images a class"


def no_table(path: Path) -> str:
    """Say that there is no table."""
    problem = "is no file" if path.exists() else "does not exist"
    return f"the table {path} {problem}: set data.table=FILE, a CSV or Parquet file"


def no_table_root(root: Path) -> str:
    """Say that the folder of a table's pictures is none."""
    return f"{root} is no folder: set data.root=DIR, what the table's paths are relative to"


def no_key(path: str | Path, kind: str, error: OSError) -> str:
    """Say that a key, `private` or `public`, cannot be read."""
    return f"{path} cannot be read ({error.strerror}): give the {kind} key"


def no_weights(path: Path) -> str:
    """Say that there is no file of weights."""
    return f"backbone.weights: there is no file {path}; give a .safetensors or .pth file, auto, or none"


def no_run(folder: Path) -> str:
    """Say that a folder holds no training to resume."""
    return f"resume={folder}: no config.yaml there; give the run folder of a training"
