import torch
import torch.nn.functional as F

from src.lora.activations import ReLU6


def test_value_and_gradient_are_torchs_at_and_beyond_the_bends():
    start = torch.tensor([-1.0, -0.0, 0.0, 1e-30, 3.0, 5.9999995, 6.0, 6.0000005, 100.0])
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    mine, torchs = ReLU6.apply(ours * 1), F.relu6(theirs * 1)
    assert torch.equal(mine, torchs)
    upstream = torch.arange(1.0, 10.0)
    mine.backward(upstream)
    torchs.backward(upstream)
    assert torch.equal(ours.grad, theirs.grad)


def test_it_works_in_place():
    x = torch.tensor([-1.0, 7.0], requires_grad=True) * 1
    assert ReLU6.apply(x).data_ptr() == x.data_ptr()
