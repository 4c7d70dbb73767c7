"""Suite `data`: how fast images come from files, from the cache, and how fast a model in training takes them."""

from __future__ import annotations

import io
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..allocator import keep_freed_memory
from ..backbones import image_spec
from ..data import FolderData
from .measure import fresh_processes, interleaved, peaks
from .suite import Column, Options, Row, Suite, failure
from .table import count, ratio
from .trainee import Case, build

log = logging.getLogger(__name__)

MODELS = ("tf_efficientnet_lite0",)
IMAGES = (1_000, 100_000)
BATCH = 16
SIDE = 64  # of the pictures in the files
MANY, SMALL = 10_000, 64  # sets above MANY images get an input of at most SMALL pixels: the cache must stay below 3 GB
WARM_UP, STEPS = 3, 20


def run(options: Options) -> list[Row]:
    """Return one row for each model and size of data set.

    Raises:
        ValueError: An unknown model.
    """
    models = options.models or MODELS
    for name in models:
        image_spec(name)
    cases = [(name, images) for name in models for images in options.images or IMAGES]
    return [_row(name, images, options) for name, images in cases]


def write_pictures(folder: Path, images: int) -> int:
    """Write pictures of noise, no two alike, as JPEG and PNG in turn, in two classes.

    Args:
        folder: Gets the folders of the classes.
        images: How many pictures.

    Returns:
        Bytes of all files.
    """
    size = 0
    for label in ("defect", "good"):
        (folder / label).mkdir(parents=True)
    for number in range(images):
        noise = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
        form = ("JPEG", "PNG")[number % 2]
        encoded = io.BytesIO()  # Pillow says nothing of a full disk
        Image.fromarray(noise).save(encoded, form)
        path = folder / ("defect", "good")[number // 2 % 2] / f"{number:07d}{('.jpg', '.png')[number % 2]}"
        size += path.write_bytes(encoded.getvalue())
    return size


def read_cold(root: Path, cache: Path, name: str, image_size: int) -> Row:
    """List, hash, decode, measure and keep all images: to be called in a fresh process."""
    with peaks() as peak:
        start = time.perf_counter()
        data = _data(root, cache, name, image_size, 1)
        seconds = time.perf_counter() - start
    return {"cold_images_per_second": len(data.index.samples) / seconds, **_named("cold", peak)}


def read_warm(root: Path, cache: Path, name: str, image_size: int, batch: int) -> Row:
    """Open a filled cache and read an epoch of shuffled batches: to be called in a fresh process."""
    with peaks() as peak:
        start = time.perf_counter()
        data = _data(root, cache, name, image_size, batch)
        opened = time.perf_counter()
        seen = sum(len(indices) for _, _, indices in data.train_dataloader())
        ended = time.perf_counter()
    return {
        "open_images_per_second": len(data.index.samples) / (opened - start),
        "open_seconds": opened - start,
        "epoch_images_per_second": seen / (ended - opened),
        **_named("warm", peak),
    }


def train_model(case: Case, steps: int) -> Row:
    """Time training steps on one batch in memory: to be called in a fresh process."""
    keep_freed_memory()
    trainee = build(case, "graft")
    for _ in range(WARM_UP):
        trainee.step()
    seconds = interleaved({"graft": trainee.step}, steps)["graft"]
    return {"model_images_per_second": case.batch / seconds}


def _row(name: str, images: int, options: Options) -> Row:
    """Measure one size of data set, each part in a process of its own, or say why it could not be."""
    image_size = min(options.image_size, SMALL) if images > MANY else options.image_size
    batch = options.batch or BATCH
    labels = {"suite": "data", "model": name, "images": images, "image_size": image_size, "batch": batch}
    row: Row = {**labels, "precision": "fp32", "picture_size": SIDE}
    log.info("%s, %d images of %d pixels", name, images, image_size)
    try:
        with tempfile.TemporaryDirectory(prefix="graft-data-") as folder:
            root, cache = Path(folder) / "images", Path(folder) / "cache"
            row["file_bytes"] = write_pictures(root, images)
            row |= _fresh(read_cold, root, cache, name, image_size)
            row["cache_bytes"] = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
            row |= _fresh(read_warm, root, cache, name, image_size, batch)
        row |= _fresh(train_model, Case(name, "fp32", batch, image_size), options.steps or STEPS)
    except Exception as error:  # a size that does not fit is its row in the table
        return row | failure(error)
    row["epoch_ratio_to_model"] = row["epoch_images_per_second"] / row["model_images_per_second"]
    return row


def _fresh(function: Callable[..., Row], *arguments: Any) -> Row:
    with fresh_processes() as processes:
        return processes.submit(function, *arguments).result()


def _data(root: Path, cache: Path, name: str, image_size: int, batch: int) -> FolderData:
    """Return the images as a training would read them, without augmentation."""
    data = FolderData(
        root,
        image=image_spec(name),
        image_size=image_size,
        crop_pct=1.0,
        crop_mode="squash",
        batch_size=batch,
        cache_dir=str(cache),
    )
    data.setup()
    return data


def _named(part: str, peak: dict[str, int]) -> Row:
    return {f"{part}_{name}": value for name, value in peak.items()}


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f}"


def _rate(images: float) -> str:
    return count(round(images))


SUITE = Suite(
    run,
    (
        Column("cold_images_per_second", "cold", _rate),
        Column("open_images_per_second", "open", _rate),
        Column("epoch_images_per_second", "epoch", _rate),
        Column("model_images_per_second", "model", _rate),
        Column("epoch_ratio_to_model", "epoch / model", ratio),
        Column("cold_peak_anonymous_bytes", "anon. / cold", _mib),
        Column("warm_peak_anonymous_bytes", "anon. / warm", _mib),
        Column("cold_peak_resident_bytes", "RSS / cold", _mib),
        Column("warm_peak_resident_bytes", "RSS / warm", _mib),
        Column("cache_bytes", "cache", _mib),
    ),
    (
        f"Pictures of grey noise, {SIDE} x {SIDE} pixels, JPEG and PNG in turn, no two alike, in a temporary folder; "
        f"resized to image_size, which is at most {SMALL} for more than {MANY:,} images. Rates are images a second.",
        "cold: list, hash, split, decode, measure, resize and write the cache. open: the same call once more; "
        "it lists, hashes and splits, and decodes nothing. epoch: shuffled batches from the real DataLoader, no worker "
        "processes, no augmentation; the system's file cache is warm, as it is from the second epoch on.",
        "model: one training step with LoRA on a batch in memory, random weights, fp32, as in suite=step; the median.",
        "anon. and RSS: peak anonymous and peak resident memory in MiB, sampled in a fresh process for each, libraries "
        "included; resident memory counts pages of files that the system can take back. cache: MiB on the disk.",
    ),
    ("model", "images", "image_size"),
    ("models", "steps", "batch", "image_size", "images"),
)
