"""Soil as a camera above a tray sees it, drawn with numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.float64]  # H x W x 3, 0 to 1


@dataclass(frozen=True)
class Tray:
    """What the pictures of one tray share.

    Attributes:
        colour: Of the soil, red, green and blue, 0 to 1.
        grain: Size of its coarse clods, in pixels.
        roughness: How much light and dark the clods bring, 0 to 1.
        stones: Mean number of pebbles in a picture.
        light: Red, green and blue gain of the lamp.
        slope: How much brighter one side is than the other, by x and y.
        blur: Radius of the camera's blur, in pixels.
        noise: Standard deviation of the camera's noise, 0 to 1.
    """

    colour: tuple[float, float, float]
    grain: float
    roughness: float
    stones: float
    light: tuple[float, float, float]
    slope: tuple[float, float]
    blur: float
    noise: float


def draw_tray(random: np.random.Generator) -> Tray:
    """Draw the soil, the light and the camera of a tray."""
    brightness, warmth = random.uniform(0.16, 0.42), random.uniform(0.75, 1.0)
    lamp = random.uniform(0.75, 1.2)
    return Tray(
        colour=(brightness, brightness * (0.55 + 0.3 * warmth), brightness * (0.25 + 0.5 * warmth * warmth)),
        grain=random.uniform(5, 16),
        roughness=random.uniform(0.35, 0.8),
        stones=random.uniform(0, 14),
        light=(lamp * random.uniform(0.92, 1.08), lamp, lamp * random.uniform(0.85, 1.1)),
        slope=(random.uniform(-0.35, 0.35), random.uniform(-0.35, 0.35)),
        blur=random.uniform(0.3, 1.3),
        noise=random.uniform(0.01, 0.04),
    )


def draw_soil(tray: Tray, size: int, random: np.random.Generator) -> Pixels:
    """Draw a square of a tray's soil, `size` pixels wide, before light and camera."""
    clods = sum(
        weight * _clouds(size, tray.grain * scale, random) for scale, weight in ((2, 0.4), (1, 0.4), (0.35, 0.3))
    )
    shade = 1 + tray.roughness * np.asarray(clods) + 0.12 * random.standard_normal((size, size))
    pixels = np.asarray(tray.colour) * shade[..., None]
    rows, columns = np.mgrid[:size, :size]
    for _ in range(random.poisson(tray.stones)):
        x, y, radius, squeeze = *random.uniform(0, size, 2), random.uniform(1.5, 5), random.uniform(0.6, 1)
        distance = np.hypot((columns - x) / radius, (rows - y) / (radius * squeeze))
        inside = np.clip(1.4 - distance, 0, 1)[..., None]
        grey = random.uniform(0.3, 0.65) * (1.15 - 0.3 * distance[..., None])
        pixels = pixels * (1 - inside) + np.clip(grey, 0, 1) * np.array([1, 0.96, 0.9]) * inside
    return np.asarray(pixels).clip(0, 1)


def expose(pixels: Pixels, tray: Tray, random: np.random.Generator) -> Pixels:
    """Light a picture as its tray is lit, and give it the camera's noise."""
    size = len(pixels)
    across = np.linspace(-0.5, 0.5, size)
    gain = 1 + tray.slope[0] * across[None, :] + tray.slope[1] * across[:, None]
    lit = pixels * gain[..., None] * np.asarray(tray.light)
    return np.asarray(lit + tray.noise * random.standard_normal(pixels.shape)).clip(0, 1)


def _clouds(size: int, grain: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Return smooth noise with spots of about `grain` pixels, standard deviation near 0.6."""
    cells = max(2, round(size / grain) + 2)
    coarse = Image.fromarray(random.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)
