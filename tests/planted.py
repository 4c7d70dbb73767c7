"""A set of pictures in class folders with given splits, clean or with a fault of every kind planted in it."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

TINTS = {"green": (60, 170, 70), "ripe": (190, 60, 50)}
COUNTS = {"train": 40, "val": 12, "test": 12}
PLANTED = {
    "unreadable",
    "exact_duplicates_across_splits",
    "near_duplicates_across_splits",
    "exact_duplicates",
    "near_duplicates",
    "two_labels",
    "label_errors",
    "few_images",
    "class_balance",
    "small_images",
    "unlike_sizes",
    "unlike_modes",
    "brightness_outliers",
    "sharpness_outliers",
}


def picture(seed, tint):
    """Draw soft spots in the colour of a class, with some grain, 160 x 128."""
    random = np.random.default_rng(seed)
    spots = random.normal(0, 30, (6, 7, 1)) + np.asarray(tint) + random.normal(0, 6, (6, 7, 3))
    smooth = Image.fromarray(spots.clip(0, 255).astype(np.uint8)).resize((160, 128), Image.Resampling.BICUBIC)
    grain = random.normal(0, 5, (128, 160, 1))
    return Image.fromarray((np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8))


def write_clean(root: Path) -> Path:
    """Write the clean set."""
    for number, (label, tint) in enumerate(TINTS.items()):
        for part, (split, count) in enumerate(COUNTS.items()):
            folder = root / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                picture(10_000 * number + 1_000 * part + index, tint).save(folder / f"{index:03}.png")
    return root


def plant(root: Path) -> None:
    """Plant a fault of every kind of `PLANTED`."""
    train, val, test = (root / split for split in COUNTS)
    whole = (train / "green/000.png").read_bytes()
    (train / "green/broken.png").write_bytes(whole[: len(whole) // 2])
    shutil.copy(train / "green/001.png", test / "green/copy.png")
    ImageEnhance.Brightness(Image.open(val / "ripe/002.png")).enhance(1.15).save(train / "ripe/again.jpg", quality=70)
    shutil.copy(train / "ripe/003.png", train / "ripe/copy.png")
    Image.open(train / "ripe/004.png").save(train / "ripe/again4.jpg", quality=60)
    shutil.copy(train / "green/005.png", train / "ripe/both.png")
    for index in (20, 21, 22):  # wrong labels
        shutil.move(train / f"green/0{index}.png", train / f"ripe/was-green-{index}.png")
    for split in COUNTS:
        (root / split / "rare").mkdir()
        for index in range(2):
            picture(90_000 + 100 * len(split) + index, (70, 80, 190)).save(root / split / "rare" / f"{index}.png")
    picture(70_001, TINTS["green"]).resize((40, 32)).save(train / "green/small.png")
    picture(70_002, TINTS["green"]).resize((1600, 1280)).save(train / "green/large.png")
    picture(70_003, TINTS["ripe"]).convert("L").save(train / "ripe/grey.png")
    ImageEnhance.Brightness(picture(70_004, TINTS["ripe"])).enhance(0.05).save(train / "ripe/dark.png")
    picture(70_005, TINTS["ripe"]).filter(ImageFilter.GaussianBlur(4)).save(train / "ripe/blurred.png")
