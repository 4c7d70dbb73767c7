import pytest
import torch
from torch.func import functional_call

from src.lora import adapters, expose_inputs, inputs_of, load_adapter, save_adapter
from src.lora.graph_inputs import InputAdapter
from tests.deploy.lines import backbone, trained


def outputs(model, images):
    with torch.inference_mode():
        return model(images)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit", "test_resnet", "test_convnext"])
@pytest.mark.parametrize("settings", [{}, {"targets": "all"}, {"init": "pissa", "rank": 2}, {"fold_norms": False}])
def test_inputs_are_all_that_a_line_adds_to_its_base(name, settings):
    model = trained(1, name, **settings)
    images = torch.randn(2, 3, 160, 160)
    expected, modes = outputs(model, images), [module.training for module in model.modules()]
    model.train()
    line = inputs_of(model)
    assert any(adapter.training for _, _, adapter in adapters(model))
    for module, mode in zip(model.modules(), modes, strict=True):
        module.training = mode
    assert torch.equal(outputs(model, images), expected), "the model stays as it was"
    names = expose_inputs(model, [line], rank=3)
    values = line.factors | line.head
    assert set(names) == set(values) and not torch.allclose(outputs(model, images), expected, atol=1e-3)
    with torch.inference_mode():
        found = functional_call(model, values, (images,))
    assert torch.allclose(found, expected, atol=1e-4 * expected.abs().max().item())


def test_lines_with_unlike_layers_share_what_any_of_them_adapts():
    attention, mlp = (trained(seed, "test_vit", targets=targets) for seed, targets in ((1, "attention"), (2, "mlp")))
    images = torch.randn(2, 3, 160, 160)
    expected, lines = outputs(mlp, images), [inputs_of(model) for model in (attention, mlp)]
    names = expose_inputs(attention, lines, rank=1)
    assert set(names) == {name for line in lines for name in (*line.factors, *line.head)}
    zeros = {name: torch.zeros_like(value) for name, value in lines[0].factors.items()}
    with torch.inference_mode():
        found = functional_call(attention, zeros | lines[1].factors | lines[1].head, (images,))
    assert torch.allclose(found, expected, atol=1e-5 * expected.abs().max().item())


def test_a_dense_adapter_is_a_product_on_its_shorter_side():
    model = trained(1, targets="all", rank=8)
    dense = {id(adapter): adapter for _, _, adapter in adapters(model) if adapter.kind == "dense"}
    assert dense
    for adapter in dense.values():
        b, a = adapter.product()
        out, fan_in = adapter.D.flatten(1).shape
        assert torch.equal((b @ a).view_as(adapter.D), adapter.D) and b.shape[1] == min(out, fan_in)


def test_what_no_input_can_hold_is_refused(tmp_path):
    with pytest.raises(ValueError, match="dora adapter adds to a weight depends"):
        inputs_of(trained(1, kind="dora"))
    with pytest.raises(ValueError, match="every weight was trained"):
        inputs_of(backbone()[0])
    model = trained(1, "test_vit")
    model.norm.weight.requires_grad_(True)
    save_adapter(tmp_path / "further.safetensors", model)
    again, _ = backbone("test_vit")
    load_adapter(tmp_path / "further.safetensors", again)
    with pytest.raises(ValueError, match=r"norm\.weight was trained beside"):
        inputs_of(again)


def test_an_input_adapter_adds_its_product_to_any_shape():
    adapter = InputAdapter(6, 12, 2)
    adapter.B.copy_(torch.randn(6, 2))
    adapter.A.copy_(torch.randn(2, 12))
    base = torch.randn(6, 3, 2, 2)
    assert torch.allclose(adapter.weight(base), base + (adapter.B @ adapter.A).view(6, 3, 2, 2), atol=1e-6)
