"""Young plants from above, drawn with Pillow: four species that differ in the shape and the order of their leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Points = NDArray[np.float64]  # N x 2, in pixels
Widths = Callable[[Points, np.random.Generator], Points]
FINER = 2  # leaves are drawn so much larger, then reduced: soft edges


@dataclass(frozen=True)
class Species:
    """How a plant of a species grows.

    Attributes:
        width: Half the width of a leaf along its length (positions 0 to 1), as a part of the length.
        leaves: Fewest and most leaves.
        bend: Largest bend of a leaf along its length, in radians.
        turn: Angle from a leaf to the next, in radians.
        green: Hue range: part of red and of blue beside green.
    """

    width: Widths
    leaves: tuple[int, int]
    bend: float
    turn: float
    green: tuple[float, float]


def _grass(along: Points, random: np.random.Generator) -> Points:
    return random.uniform(0.025, 0.045) * np.clip(along * 12, 0, 1) * (1 - along**3)


def _lanceolate(along: Points, random: np.random.Generator) -> Points:
    return random.uniform(0.09, 0.17) * np.sin(np.pi * along ** random.uniform(0.7, 1.0)) + 0.012 * (1 - along)


def _lobed(along: Points, random: np.random.Generator) -> Points:
    lobes, depth = random.integers(3, 6), random.uniform(0.22, 0.6)
    whole = random.uniform(0.13, 0.22) * np.sin(np.pi * along ** random.uniform(0.9, 1.4))
    return np.asarray(whole * (1 - depth * (0.5 + 0.5 * np.cos(2 * np.pi * lobes * along))) + 0.014 * (1 - along))


def _rosette(along: Points, random: np.random.Generator) -> Points:
    stalk = random.uniform(0.3, 0.5)
    blade = np.clip((along - stalk) / (1 - stalk), 0, 1)
    round_part = np.sqrt(np.sin(np.pi * blade).clip(0, 1))
    return np.asarray(random.uniform(0.13, 0.24) * round_part + 0.018 * (1 - along))


SPECIES: dict[str, Species] = {
    "grass": Species(_grass, (3, 8), 1.3, 2.9, (0.62, 0.4)),
    "lanceolate": Species(_lanceolate, (4, 9), 0.5, 2.4, (0.58, 0.38)),
    "lobed": Species(_lobed, (4, 9), 0.5, 2.4, (0.58, 0.38)),
    "rosette": Species(_rosette, (5, 11), 0.3, 2.4, (0.6, 0.42)),
}


def draw_plant(ground: Image.Image, species: str, random: np.random.Generator) -> Image.Image:
    """Draw a plant of a species on a square picture of its ground, with the shadow that it throws.

    Args:
        ground: RGB picture of the soil.
        species: A name of `SPECIES`.
        random: Decides age, place, colour and every leaf.
    """
    kind, size = SPECIES[species], ground.width
    leaves = Image.new("RGBA", (size * FINER, size * FINER), (0, 0, 0, 0))
    centre = size * FINER * (0.5 + random.uniform(-0.14, 0.14, 2))
    reach = size * FINER * random.uniform(0.17, 0.48)
    count, heading = int(random.integers(kind.leaves[0], kind.leaves[1] + 1)), random.uniform(0, 2 * np.pi)
    tint = np.array([kind.green[0], 1, kind.green[1]]) + random.normal(0, [0.1, 0, 0.08])
    light = random.uniform(0.42, 0.75)
    _cotyledons(leaves, centre, reach, tint * light, random)
    for number in range(count):  # the oldest leaf is the longest, and lies lowest
        length = reach * (1 - 0.55 * number / count) * random.uniform(0.8, 1.1)
        colour = tint * light * (0.88 + 0.3 * number / count) * random.uniform(0.88, 1.1)
        axis = _axis(centre, heading + random.normal(0, 0.22), length, random.normal(0, kind.bend / 2))
        _leaf(leaves, axis, kind.width(np.linspace(0, 1, len(axis)), random) * length, colour, random)
        heading += kind.turn
    leaves = leaves.resize((size, size), Image.Resampling.BOX)
    return _over(ground, leaves, random)


def draw_litter(ground: Image.Image, random: np.random.Generator) -> Image.Image:
    """Lay straws and a leaf of a neighbour, that reaches in from the border, on the ground."""
    size = ground.width
    layer = Image.new("RGBA", (size * FINER, size * FINER), (0, 0, 0, 0))
    for _ in range(random.poisson(2)):
        start = random.uniform(0, size * FINER, 2)
        axis = _axis(start, random.uniform(0, 2 * np.pi), size * random.uniform(0.1, 0.5), random.normal(0, 0.3))
        straw = np.array([0.6, 0.5, 0.32]) * random.uniform(0.5, 1.1)
        _leaf(layer, axis, np.full(len(axis), random.uniform(1, 2.5)), straw, random)
    for _ in range(random.poisson(0.7)):
        kind = SPECIES[str(random.choice(sorted(SPECIES)))]
        side = random.uniform(0, 2 * np.pi)
        start = size * FINER * (0.5 + 0.68 * np.array([np.cos(side), np.sin(side)]))
        length = size * FINER * random.uniform(0.15, 0.32)
        axis = _axis(start, side + np.pi + random.normal(0, 0.4), length, random.normal(0, 0.3))
        green = np.array([kind.green[0], 1, kind.green[1]]) * random.uniform(0.4, 0.7)
        _leaf(layer, axis, kind.width(np.linspace(0, 1, len(axis)), random) * length, green, random)
    return _over(ground, layer.resize((size, size), Image.Resampling.BOX), random)


def _axis(start: Points, heading: float, length: float, bend: float, points: int = 48) -> Points:
    """Return the line down the middle of a leaf, which bends evenly by `bend` radians."""
    angles = heading + bend * np.linspace(0, 1, points)
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (length / points)
    return np.asarray(start + np.cumsum(steps, axis=0))


def _leaf(layer: Image.Image, axis: Points, half: Points, colour: Points, random: np.random.Generator) -> None:
    """Draw a leaf: one side of the midrib is darker than the other, and the rib itself is light."""
    along = np.gradient(axis, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    draw, tone = ImageDraw.Draw(layer), random.uniform(0.04, 0.14)
    for side, gain in ((1, 1 + tone), (-1, 1 - tone)):
        edge = axis + side * across * half[:, None]
        draw.polygon([*map(tuple, axis), *map(tuple, edge[::-1])], fill=_rgba(colour * gain))
    rim = [*map(tuple, axis + across * half[:, None]), *map(tuple, (axis - across * half[:, None])[::-1])]
    draw.line(rim, fill=_rgba(colour * 0.78), width=1)
    if half.max() > 4:
        draw.line([*map(tuple, axis[:-4])], fill=_rgba(colour * 1.25), width=2)
        for at in range(8, len(axis) - 8, 7):
            for side in (1, -1):
                tip = axis[at] + 0.75 * half[at] * (side * across[at] + along[at] / np.linalg.norm(along[at]))
                draw.line([tuple(axis[at]), tuple(tip)], fill=_rgba(colour * 1.12), width=1)


def _cotyledons(layer: Image.Image, centre: Points, reach: float, colour: Points, random: np.random.Generator) -> None:
    """Draw the two seed leaves, which a young plant of any species may still have."""
    if random.random() < 0.5:
        heading, length = random.uniform(0, 2 * np.pi), reach * random.uniform(0.25, 0.45)
        for angle in (heading, heading + np.pi):
            axis = _axis(centre, angle, length, 0)
            half = 0.22 * length * np.sqrt(np.clip(np.sin(np.pi * np.linspace(0.02, 0.98, len(axis)) ** 1.5), 0, 1))
            _leaf(layer, axis, half, colour * 0.9, random)


def _over(ground: Image.Image, layer: Image.Image, random: np.random.Generator) -> Image.Image:
    """Lay the layer on the ground, above a soft shadow of it."""
    alpha = layer.getchannel("A")
    away = [int(step) for step in random.integers(-5, 6, 2)]
    thrown = Image.new("L", alpha.size, 0)
    thrown.paste(alpha.point(lambda value: value * 0.6), (away[0], away[1]))
    thrown = thrown.filter(ImageFilter.GaussianBlur(random.uniform(1, 3)))
    dark = Image.composite(Image.new("RGB", ground.size, (8, 6, 5)), ground, thrown)
    return Image.composite(layer.convert("RGB"), dark, alpha)


def _rgba(colour: Points) -> tuple[int, int, int, int]:
    red, green, blue = (int(value) for value in np.clip(colour * 255, 0, 255))
    return red, green, blue, 255
