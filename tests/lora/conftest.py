"""Five unlike architectures, shrunk, with every zero at init moved so that nothing hides behind it."""

import copy

import pytest
import timm
import torch
from torch import nn

MODELS = {
    "vit": ("test_vit", {}),
    "beit": ("beit_base_patch16_224", {"embed_dim": 48, "depth": 2, "num_heads": 3}),
    "swin": ("swin_tiny_patch4_window7_224", {"embed_dim": 24, "depths": (1, 2), "num_heads": (2, 4)}),
    "convnext": ("test_convnext", {}),
    "dilated_resnet": ("test_resnet", {"output_stride": 8}),
}
FURTHER = {"efficientnet": ("test_efficientnet", {})}  # for tests that ask for it: its own files have the rest


def build(key: str) -> nn.Module:
    """Build one of `MODELS` or `FURTHER` with five classes, always with the same random weights."""
    name, options = {**MODELS, **FURTHER}[key]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(name, pretrained=False, num_classes=5, **options).eval()
        uncover(model)
    return model


def uncover(model: nn.Module) -> None:
    """Move what starts at zero or near, such as layer scales, and every statistic, so that nothing hides behind it."""
    for parameter in model.parameters():
        if parameter.numel() and parameter.abs().max() < 1e-3:
            nn.init.normal_(parameter, std=0.02)
    for module in model.modules():
        if getattr(module, "running_mean", None) is not None:
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)


def images(model: nn.Module, count: int = 2) -> torch.Tensor:
    """Return noise of the size that the model takes."""
    return torch.randn(count, *model.pretrained_cfg["input_size"], generator=torch.Generator().manual_seed(1))


def stir(model: nn.Module, std: float = 0.02) -> None:
    """Move every adapter and head away from where it started, as a training would."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * std)


def outputs(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(x)


def relative(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest difference as a part of the largest expected value."""
    actual, expected = actual.detach(), expected.detach()
    return float((actual - expected).abs().max() / expected.abs().max())


def gradients(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the gradient of every parameter that learns."""
    model.zero_grad()
    model(x).square().sum().backward()
    learns = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in learns.items()}


def dense_gradients(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the gradients that autograd takes when every reader gets the dense sum, as under `torch.compile`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        return gradients(model, x)


_built: dict[str, nn.Module] = {}


@pytest.fixture(params=MODELS)
def base(request) -> nn.Module:
    if request.param not in _built:
        _built[request.param] = build(request.param)
    return copy.deepcopy(_built[request.param])
