import torch
import torch.nn.functional as F

from src.lora.engine.recompute import origin_of, remember


def made():
    source = torch.randn(4, 6, requires_grad=True) * 1
    return source, remember(F.gelu(source), source, F.gelu)


def test_what_is_made_again_is_the_same_bits():
    source, output = made()
    assert torch.equal(origin_of(output).remake(source), output)


def test_it_is_made_in_the_autocast_it_was_made_in():
    source, weight = torch.randn(4, 6, requires_grad=True), torch.randn(5, 6)

    def make(x):
        return F.linear(x, weight)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = remember(make(source), source, make)
    high = remember(make(source), source, make)
    assert torch.equal(origin_of(low).remake(source), low) and low.dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(origin_of(high).remake(source), high)


def test_a_change_of_output_or_source_ends_the_memory():
    source, output = made()
    output.add_(1)
    assert origin_of(output) is None
    source, output = made()
    source.add_(1)
    assert origin_of(output) is None
    assert origin_of(torch.ones(2)) is None and origin_of(made()[1] * 1) is None


def test_what_takes_no_gradient_is_not_kept_for_it():
    source = torch.randn(4, 6)
    assert origin_of(remember(F.gelu(source), source, F.gelu)) is None
