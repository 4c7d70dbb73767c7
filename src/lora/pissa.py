"""The principal part of a weight, where PiSSA starts its adapters (arXiv 2404.02948)."""

from __future__ import annotations

import torch
from torch import Tensor


def principal(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return B (out x rank) and A (rank x fan_in) with B A the best approximation of `weight` of that rank.

    Taken in float64, each pair with the sign that makes B's largest entry positive, and cut to the 8 bits of bfloat16:
    machines that round the decomposition apart in its 53rd bit still find the same pair, so that an adapter's file need
    not hold it. Ranks that the weight does not have are zero.
    """
    u, s, v = torch.linalg.svd(weight.detach().flatten(1).cpu().double(), full_matrices=False)
    u, s, v = u[:, :rank], s[:rank], v[:rank]
    sign = u.gather(0, u.abs().argmax(0, keepdim=True)).sign()[0]
    root = s.sqrt()
    b, a = weight.new_zeros(len(weight), rank), weight.new_zeros(rank, v.shape[1])
    b[:, : len(s)] = (u * sign * root).bfloat16().to(weight)
    a[: len(s)] = (v * (sign * root)[:, None]).bfloat16().to(weight)
    return b, a
