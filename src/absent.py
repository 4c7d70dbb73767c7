"""What is said of a path that is not there: by a command at once, and by the library that would read it."""

from __future__ import annotations

from pathlib import Path

from .package import shell_line


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


def no_weights(path: Path) -> str:
    """Say that there is no file of weights."""
    return f"backbone.weights: there is no file {path}; give a .safetensors or .pth file, auto, or none"


def no_run(folder: Path) -> str:
    """Say that a folder holds no training to resume."""
    return f"resume={folder}: no config.yaml there; give the run folder of a training"
