"""Adapters as inputs of the network, so that one graph of the frozen base serves many of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .engine.products import merged
from .heads import head_parameters
from .inject import adapters, detach, injection_of
from .look import in_eval
from .surgery import slot

Place = tuple[str, str]  # name of a module, and of a weight in it


@dataclass(frozen=True)
class Inputs:
    """What one trained model adds to its base, as tensors to feed to a shared graph.

    Attributes:
        factors: `<slot>.B` (out x rank) and `<slot>.A` (rank x fan_in) of every adapted weight: W' = W + B A. A slot is
            the adapter's name in the model, such as `blocks.0.conv.weight_adapter`.
        head: The classifiers' parameters, by their names in the model.
        places: The weights that each product is added to, by slot; several where they are tied.
    """

    factors: dict[str, Tensor]
    head: dict[str, Tensor]
    places: dict[str, tuple[Place, ...]]


class InputAdapter(nn.Module):
    """W + B A, with B and A to be replaced by graph inputs (`torch.func.functional_call`)."""

    def __init__(self, out: int, fan_in: int, rank: int) -> None:
        super().__init__()
        self.B = nn.Parameter(torch.zeros(out, rank), requires_grad=False)
        self.A = nn.Parameter(torch.zeros(rank, fan_in), requires_grad=False)

    def weight(self, base: Tensor) -> Tensor:
        """Return W' for the frozen weight `base`."""
        return merged(base, self.B, self.A)


def inputs_of(model: nn.Module) -> Inputs:
    """Return what a model with unmerged adapters learnt, as inputs of a graph; the model does not change.

    Raises:
        ValueError: It learnt something that neither products of two matrices nor the head can express.
    """
    injection = injection_of(model)
    if injection is None:
        raise ValueError("every weight was trained, so there is no base to share")
    if injection.replaced:  # no input replaces a parameter outside adapters and head
        raise ValueError(f"{min(injection.replaced)} was trained beside the adapters, and no input holds it")
    names = {id(module): name for name, module in model.named_modules()}
    factors: dict[str, Tensor] = {}
    places: dict[int, tuple[str, list[Place]]] = {}
    for module, attribute, adapter in adapters(model):
        place = (names[id(module)], attribute)
        if id(adapter) in places:
            places[id(adapter)][1].append(place)
            continue
        name = f"{place[0]}.{slot(attribute)}".removeprefix(".")
        places[id(adapter)] = (name, [place])
        with in_eval(adapter):  # no rank may be dropped
            b, a = adapter.product()
        factors |= {f"{name}.B": b.detach().clone(), f"{name}.A": a.detach().clone()}
    head = {name: parameter.detach().clone() for name, parameter in head_parameters(model).items()}
    return Inputs(factors, head, {name: tuple(each) for name, each in places.values()})


def expose_inputs(model: nn.Module, lines: Iterable[Inputs], rank: int) -> list[str]:
    """Replace the adapters of `model` by an `InputAdapter` of zeros, of one rank, wherever any line has an adapter.

    Returns:
        The names of the parameters that the lines replace, in the model's order: factors, then the head's.
    """
    detach(model)
    for held in {name: held for line in lines for name, held in line.places.items()}.values():
        module, attribute = held[0]
        base = model.get_submodule(module)._parameters[attribute]
        assert base is not None
        # One module for all places of a tied weight, so that it becomes one input.
        adapter = InputAdapter(base.shape[0], base[0].numel(), rank)
        for module, attribute in held:
            model.get_submodule(module).add_module(slot(attribute), adapter)
    added = (name for name, module in model.named_modules() if isinstance(module, InputAdapter))
    return [f"{name}.{key}" for name in added for key in ("B", "A")] + list(head_parameters(model))
