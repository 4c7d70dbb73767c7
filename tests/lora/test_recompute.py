import torch
import torch.nn.functional as F

from src.lora.recompute import recipe_of, remember


def made():
    source = torch.randn(4, 6)
    return source, remember(F.gelu(source), source, F.gelu)


def test_what_is_made_again_is_the_same_bits():
    source, output = made()
    assert torch.equal(recipe_of(output).cook(source), output)


def test_it_is_made_in_the_autocast_it_was_made_in():
    source, weight = torch.randn(4, 6), torch.randn(5, 6)

    def make(x):
        return F.linear(x, weight)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = remember(make(source), source, make)
    high = remember(make(source), source, make)
    assert torch.equal(recipe_of(low).cook(source), low) and low.dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(recipe_of(high).cook(source), high)


def test_a_change_of_output_or_source_ends_the_recipe():
    source, output = made()
    output.add_(1)
    assert recipe_of(output) is None
    source, output = made()
    source.add_(1)
    assert recipe_of(output) is None
    assert recipe_of(torch.ones(2)) is None and recipe_of(made()[1] * 1) is None
