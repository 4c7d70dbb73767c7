"""What PEFT and Graft make of every timm family, on the same layers: `python -m tests.lora.peft_coverage`.

Both adapt every Linear and Conv2d but the heads', at rank 4. PEFT has a second column without grouped convolutions,
which it refuses at most ranks. Both are judged by the same probe, and merging is held to `MERGE_TOLERANCE`, ten times
what Graft's own tests allow, so that rounding alone counts against nobody.
"""

import copy
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from src.lora import inject, merge
from src.lora.targets import classifiers
from tests.lora.conftest import outputs, relative, stir
from tests.lora.families import RANK, build_family
from tests.lora.family_table import FAMILIES

MERGE_TOLERANCE = 1e-4
VERDICTS = ("works", "silently dead", "wrong merge", "raises")
Merge = Callable[[nn.Module], nn.Module]
Method = Callable[[nn.Module], tuple[nn.Module, Merge]]


def graft(model: nn.Module) -> tuple[nn.Module, Merge]:
    """Adapt with Graft as it comes, batch norms folded."""
    inject(model, rank=RANK, alpha=2 * RANK)
    return model, merge


def peft(model: nn.Module) -> tuple[nn.Module, Merge]:
    """Adapt the same layers with PEFT."""
    return _peft(model, grouped=True)


def peft_ungrouped(model: nn.Module) -> tuple[nn.Module, Merge]:
    """Adapt with PEFT all but the grouped convolutions."""
    return _peft(model, grouped=False)


def _peft(model: nn.Module, grouped: bool) -> tuple[nn.Module, Merge]:
    heads = {id(module) for head in classifiers(model) for module in head.modules()}
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d)) and id(module) not in heads
        if grouped or getattr(module, "groups", 1) == 1
    ]
    exactly = "|".join(re.escape(name) for name in names)  # a list would match every name that ends so
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=exactly)
    return get_peft_model(model, config).eval(), lambda adapted: adapted.merge_and_unload()


METHODS: dict[str, Method] = {"Graft": graft, "PEFT": peft, "PEFT without grouped convs": peft_ungrouped}


def verdict(method: Method, base: nn.Module, x: Tensor) -> str:
    """Return the word of `VERDICTS` that a method earns on one model, with the reason for a bad one."""
    try:
        model, merged = method(copy.deepcopy(base))
        stir(model)
        model(x).square().sum().backward()
        learns = [p for p in model.parameters() if p.requires_grad]
        dead = sum(p.grad is None or not p.grad.abs().max() > 0 for p in learns)
        if dead:
            return f"silently dead ({dead} of {len(learns)} tensors)"
        before = outputs(model, x)
        error = relative(outputs(merged(model), x), before)
    except Exception as error:  # whatever a library throws is its verdict
        return f"raises ({type(error).__name__}: {str(error).splitlines()[0][:60] if str(error) else ''})"
    return "works" if error <= MERGE_TOLERANCE else f"wrong merge (off by {error:.1e} of the scale)"


def coverage(families: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each family with the verdict of every method."""
    for family in families:
        name, size, options = FAMILIES[family]
        base, x = build_family(name, size, **options)
        yield family, [verdict(method, base, x) for method in METHODS.values()]


def tally(families: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of both tables: each family with its verdicts, and each word of `VERDICTS` with its counts."""
    verdicts = [[family, *words] for family, words in coverage(families)]
    _, *columns = zip(*verdicts, strict=True)
    return verdicts, [
        [word, *(str(sum(text.startswith(word) for text in column)) for column in columns)] for word in VERDICTS
    ]


def table(head: str, rows: list[list[str]]) -> str:
    """Return a Markdown table with one column for each method."""
    lines = [[head, *METHODS], ["---"] * (1 + len(METHODS)), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(families: list[str]) -> None:
    """Print the verdicts by family, then the counts."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    verdicts, counts = tally(families)
    print(table("family", verdicts), table("families", counts), sep="\n\n")


if __name__ == "__main__":
    main(sys.argv[1:] or list(FAMILIES))
