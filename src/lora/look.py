"""Examine a model by running it on noise or on example inputs, without side effects, whatever it raises."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from .heads import what_heads_read
from .seeded import seeded
from .trace import tensors
from .undo import State

# A mapping holds keyword arguments, a tuple several arguments, all else is the only argument.
Example = Tensor | Mapping[str, Any] | tuple[Any, ...] | list[Any]

TOLERANCE = 1e-5  # relative to the largest value that reaches a head
MOST_CHANNELS = 4  # of an image: RGB and one more
USUAL = (224, 224)
log = logging.getLogger(__name__)
S = TypeVar("S")
T = TypeVar("T")


class Unseen(ValueError):
    """The model cannot be examined: it runs on no example."""


def look(model: nn.Module, example: Example | None, see: Callable[[Example], S]) -> tuple[Example, S]:
    """Return the first example that the model runs on, and what `see` returns for it, without side effects.

    Args:
        model: The model.
        example: What to run it on; None for noise of `examples_of`.
        see: Runs the model and returns what it saw; it may raise anything.

    Raises:
        Unseen: The model runs on no example; the message says how it failed on the likeliest.
    """
    failures: list[tuple[Example, Exception]] = []
    for tried in examples_of(model) if example is None else (example,):
        try:
            with looking(model):
                return tried, see(tried)
        except Exception as error:  # a user's forward may raise anything
            failures.append((tried, error))
    first, why = failures[0]
    what = f"noise of {tuple(first.shape)}" if example is None and isinstance(first, Tensor) else "the example"
    said = next(iter(str(why).splitlines()), "")
    raise Unseen(f"the model does not run on {what} ({type(why).__name__}: {said})") from why


def most(candidates: Sequence[T], holds: Callable[[Sequence[T]], bool]) -> list[T]:
    """Return all candidates if `holds` is true for them together, else those for which it is true one by one.

    The latter are tried together again, and none is returned where that fails. An exception counts as false.
    """

    def sure(some: Sequence[T]) -> bool:
        try:
            return holds(some)
        except Exception:  # a user's forward may raise anything
            log.debug("a look at the model failed", exc_info=True)
            return False

    if sure(candidates):
        return list(candidates)
    single = [candidate for candidate in candidates if sure([candidate])]
    return single if sure(single) else []


def examples_of(model: nn.Module) -> Iterator[Tensor]:
    """Yield a batch of two noise images for each size that the model may take, the likeliest first.

    Sizes come from timm's `pretrained_cfg`, from the `img_size` of its modules, and from the configuration of
    transformers; 224 pixels come last.
    """
    conv = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    floats = (parameter for parameter in model.parameters() if parameter.is_floating_point())
    like = next(floats, torch.empty(0)) if conv is None or conv.weight is None else conv.weight
    channels = _channels(model, conv)
    for height, width in dict.fromkeys(_sizes(model)):
        generator = torch.Generator().manual_seed(0)
        yield torch.randn(2, channels, height, width, generator=generator).to(like.device, like.dtype)


def _channels(model: nn.Module, conv: nn.Conv2d | None) -> int:
    """Return the number of image channels, by the first convolution where that reads the image.

    timm's config says three for a grey model too. A convolution of more than `MOST_CHANNELS` does not read the image.
    """
    if conv is not None and conv.in_channels <= MOST_CHANNELS:
        return conv.in_channels
    size = _pretrained(model).get("input_size")
    return int(size[0]) if size else int(getattr(getattr(model, "config", None), "num_channels", None) or 3)


def _pretrained(model: nn.Module) -> Mapping[str, Any]:
    config = getattr(model, "pretrained_cfg", None)
    # A model of a user may have something else under that name.
    return config if isinstance(config, Mapping) else {}


def _sizes(model: nn.Module) -> Iterator[tuple[int, int]]:
    config = getattr(model, "config", None)
    asked = [
        _pretrained(model).get("input_size"),
        *(getattr(module, "img_size", None) for module in model.modules()),
        *(getattr(part, "image_size", None) for part in (config, getattr(config, "vision_config", None))),
        USUAL,
    ]
    for size in asked:
        pair = (size, size) if isinstance(size, int) else tuple(size[-2:]) if isinstance(size, (tuple, list)) else ()
        if len(pair) == 2 and all(isinstance(side, int) and side > 0 for side in pair):
            yield pair


def run(model: nn.Module, example: Example) -> list[Tensor]:
    """Run the model on a copy of `example`, and return the tensors of its output.

    Args:
        model: The model.
        example: As `Example`.
    """
    # A model that is spread over several devices moves its inputs itself.
    devices = {parameter.device for parameter in model.parameters()}
    device = devices.pop() if len(devices) == 1 else None

    def copy(value: Any) -> Any:
        return value.detach().clone().to(device or value.device) if isinstance(value, Tensor) else value

    if isinstance(example, Mapping):
        return tensors(model(**tree_map(copy, dict(example))))
    arguments = tree_map(copy, example if isinstance(example, tuple) else (example,))
    return tensors(model(*arguments))


def read(model: nn.Module, example: Example) -> list[Tensor]:
    """Return what reaches the heads of the model."""
    return what_heads_read(model, lambda: run(model, example))


def agree(after: list[Tensor], before: list[Tensor]) -> bool:
    """Return whether two runs gave the same tensors, not empty, within `TOLERANCE` of the largest value."""
    if [value.shape for value in after] != [value.shape for value in before]:
        return False
    pairs = [(_number(new), _number(old)) for new, old in zip(after, before, strict=True) if old.numel()]
    return bool(pairs) and all(bool((new - old).abs().max() <= TOLERANCE * old.abs().max()) for new, old in pairs)


def _number(value: Tensor) -> Tensor:
    return value if value.is_floating_point() or value.is_complex() else value.double()


@contextmanager
def in_eval(model: nn.Module) -> Iterator[None]:
    """Run the block in eval mode without gradients, then restore the mode of every module."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def looking(model: nn.Module) -> Iterator[None]:
    """Run the block in eval mode, without gradients, with the same random numbers each time, and without side effects.

    Whatever the model counts, caches or draws in a run is restored, and so is whatever the block changed in the model.
    """
    state = State(model.modules(), _written(model))
    with seeded({parameter.device for parameter in model.parameters() if parameter.is_cuda}), torch.no_grad():
        try:
            model.eval()
            yield
        finally:
            state.restore()


def _written(model: nn.Module) -> Iterator[Tensor]:
    """Yield the tensors that a forward may write to: buffers, and those that modules keep as plain attributes."""
    yield from model.buffers()
    for module in model.modules():
        own = {name: value for name, value in module.__dict__.items() if name not in ("_parameters", "_buffers")}
        yield from (leaf for leaf in tree_leaves(own) if type(leaf) is Tensor and _is_writable(leaf))


def _is_writable(tensor: Tensor) -> bool:
    """Return whether a forward can write to a tensor: torch refuses an expanded one, whose values share memory."""
    if tensor.is_inference() or tensor.layout is not torch.strided:
        return not tensor.is_inference()
    return not any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True))
