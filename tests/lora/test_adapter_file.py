import copy
import json
import pickle
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from src.lora import (
    AdapterError,
    AdapterPool,
    inject,
    injection_of,
    load_adapter,
    merge,
    read_adapter,
    remove,
    save_adapter,
)
from tests.lora.conftest import build, images, outputs, relative, stir
from tests.lora.test_targets import Named


@pytest.fixture
def trained(tmp_path):
    model = build("dilated_resnet")
    inject(model, rank=4, alpha=8.0, targets=["conv"])
    stir(model)
    return model, save_adapter(tmp_path / "adapter.safetensors", model, {"note": "é", "n": [1, 2]})


def test_adapter_and_pristine_base_are_the_trained_model(base, tmp_path):
    pristine, x = copy.deepcopy(base), images(base)
    inject(base, rank=4)
    stir(base)
    path = save_adapter(tmp_path / "adapter.safetensors", base)
    load_adapter(path, pristine)
    assert torch.equal(outputs(pristine, x), outputs(base, x))


def test_so_it_is_in_a_new_process(trained, tmp_path):
    model, path = trained
    torch.save(outputs(model, images(model)), tmp_path / "expected.pt")
    code = f"""
import torch
from src.lora import load_adapter
from src.lora.fingerprint import base_hash
from tests.lora.conftest import build, images, outputs
model = build("dilated_resnet")
assert base_hash(model) == {injection_of(model).base_hash!r}
load_adapter({str(path)!r}, model)
assert torch.equal(outputs(model, images(model)), torch.load({str(tmp_path / "expected.pt")!r}))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_file_holds_adapters_head_and_settings_alone(trained):
    model, path = trained
    header = read_adapter(path)
    assert header.metadata == {"note": "é", "n": [1, 2]}
    assert (header.settings.rank, header.settings.alpha, header.settings.targets) == (4, 8.0, ("conv",))
    assert header.base_hash == injection_of(model).base_hash
    learnt = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert set(load_file(path)) == learnt


def test_a_failed_save_leaves_the_earlier_file(trained):
    model, path = trained
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        save_adapter(path, model, {"loss": float("nan")})
    with pytest.raises(TypeError):
        save_adapter(path, model, {"object": object()})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def refuses(path, message, model=None):
    model = model or build("dilated_resnet")
    state, kinds = copy.deepcopy(model.state_dict()), [type(m) for m in model.modules()]
    with pytest.raises(AdapterError, match=message):
        load_adapter(path, model)
    assert injection_of(model) is None and kinds == [type(m) for m in model.modules()]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_refuses_another_base(trained):
    other = build("dilated_resnet")
    with torch.no_grad():
        other.layer1[0].conv1.weight[0, 0, 0, 0] += 1e-6
    refuses(trained[1], "another base", other)


def test_refuses_other_classes(trained):
    model = build("dilated_resnet")
    model.reset_classifier(7)
    refuses(trained[1], "another number of classes", model)


def rewritten(path, change):
    tensors, header = load_file(path), json.loads(read_metadata(path))
    change(tensors, header)
    save_file(tensors, path, {"graft": json.dumps(header)})
    return path


def read_metadata(path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.metadata()["graft"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, h: t.pop("fc.weight"), r"missing \['fc.weight'\]"),
        (lambda t, h: t.update(extra=torch.zeros(1)), r"surplus \['extra'\]"),
        (lambda t, h: t.update({"fc.bias": torch.full((5,), float("nan"))}), "NaN or infinity in fc.bias"),
        (lambda t, h: t.update({"layer1.0.conv1.weight_adapter.A": torch.zeros(1, 2)}), "layer1.0.conv1"),
        (lambda t, h: h.update(format=99), "format 99"),
        (lambda t, h: h.pop("base"), "base"),
        (lambda t, h: h["base"].update(structure="====x"), "no Graft adapter that this version can read"),
        (lambda t, h: h["base"].update(structure="AAAA"), "no Graft adapter that this version can read"),
        (lambda t, h: h.update(folded=3), "trained with 3 batch norms folded"),
        (lambda t, h: h.pop("lora"), "lora"),
        (lambda t, h: h["lora"].update(surprise=1), "surprise"),
        (lambda t, h: h["lora"].update(rank=5), "does not fit"),
        (lambda t, h: h["lora"].update(rank="four"), "rank must be a whole number"),
        (lambda t, h: h["lora"].update(ranks={"layer9.*": 2}), "layer9"),
        (lambda t, h: h.update(lora=3), "no Graft adapter that this version can read"),
        (lambda t, h: t.update({"fc.bias": torch.zeros(5, dtype=torch.int64)}), "int64 in fc.bias"),
        (lambda t, h: t.update({"layer2.0.conv1.weight_adapter.B": torch.tensor(float("inf"))}), "layer2.0.conv1"),
    ],
)
def test_refuses_a_file_that_does_not_fit(trained, change, message):
    refuses(rewritten(trained[1], change), message)


def test_refuses_a_file_cut_short_anywhere(trained):
    whole = trained[1].read_bytes()
    for length in (0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        trained[1].write_bytes(whole[:length])
        refuses(trained[1], "no safetensors file or is damaged")
    for length in range(0, len(whole), 97):
        trained[1].write_bytes(whole[:length])
        with pytest.raises(AdapterError, match="no safetensors file or is damaged"):
            read_adapter(trained[1])


def test_a_file_without_the_newer_settings_loads(trained):
    model, path = trained
    rewritten(path, lambda t, h: [h["lora"].pop(n) for n in ("kind", "init", "scaling", "dropout", "ranks", "alphas")])
    fresh = build("dilated_resnet")
    assert load_adapter(path, fresh).settings == injection_of(model).settings
    assert torch.equal(outputs(fresh, images(fresh)), outputs(model, images(model)))


def of_before(tensors, header):
    """Make a header that of format 1: a hash of the values alone."""
    header.update(format=1, base_hash=header.pop("base")["values"])


def test_a_file_of_before_loads_with_a_warning(trained, caplog):
    model, path = trained
    rewritten(path, of_before)
    fresh, pool = build("dilated_resnet"), AdapterPool(build("dilated_resnet"))
    load_adapter(path, fresh)
    assert "was written before adapter files recorded how their base is built" in caplog.text
    assert torch.equal(outputs(fresh, images(fresh)), outputs(model, images(model)))
    pool.load("old", path)
    pool.activate("old")
    assert torch.equal(outputs(pool.model, images(fresh)), outputs(model, images(model)))
    assert read_adapter(path).base_hash == injection_of(model).base.values
    caplog.clear()
    load_adapter(save_adapter(path, fresh), build("dilated_resnet"))  # saved again, it has all
    assert not caplog.records


def test_a_file_of_before_is_refused_by_other_values(trained):
    other = build("dilated_resnet")
    with torch.no_grad():
        other.layer1[0].conv1.weight[0, 0, 0, 0] += 1e-6
    refuses(rewritten(trained[1], of_before), "another base", other)


def test_a_word_in_a_list_of_before_is_the_role(tmp_path):
    model, pristine = Named().eval(), Named().eval()
    pristine.load_state_dict(model.state_dict())
    inject(model, rank=1, targets=["role:conv"])
    path = save_adapter(tmp_path / "a.safetensors", model)
    rewritten(path, lambda t, h: (of_before(t, h), h["lora"].update(targets=["conv"])))
    assert [layer.name for layer in load_adapter(path, pristine).layers] == ["stem", "conv"]


@pytest.mark.parametrize("change", [None, of_before])
def test_another_precision_is_named(change, tmp_path):
    low = build("vit").bfloat16()
    inject(low, rank=2, targets="mlp")
    path = save_adapter(tmp_path / "a.safetensors", low)
    if change is not None:
        tensors = {key: value.bfloat16() for key, value in load_file(path).items()}  # adapters were of the base's
        save_file(tensors, path, {"graft": read_metadata(path)})
        rewritten(path, change)
    refuses(path, r"on a base in bfloat16, and this model is in float32: .* model\.to\(torch\.bfloat16\)", build("vit"))
    load_adapter(path, build("vit").bfloat16())


def test_refuses_pickles_strangers_and_nothing(trained, tmp_path):
    pickled = tmp_path / "adapter.pt"
    pickled.write_bytes(pickle.dumps({"a": 1}))
    refuses(pickled, "never loaded")
    stranger = tmp_path / "stranger.safetensors"
    save_file({"a": torch.zeros(1)}, stranger)
    refuses(stranger, "no Graft adapter")
    refuses(tmp_path / "nowhere.safetensors", "no adapter file at")


def test_refuses_to_save_a_plain_model_and_to_load_twice(trained, tmp_path):
    with pytest.raises(ValueError, match="no adapters to save"):
        save_adapter(tmp_path / "plain.safetensors", build("vit"))
    with pytest.raises(AdapterError, match="adapters already"):
        load_adapter(trained[1], trained[0])


def test_what_was_unfrozen_beside_is_kept_loaded_merged_and_removed(tmp_path):
    model, pristine = build("vit"), build("vit")
    inject(model, rank=2)
    model.cls_token.requires_grad_(True)
    model.get_classifier().requires_grad_(False)  # kept all the same
    stir(model)
    x, plain = images(model), outputs(pristine, images(model))
    load_adapter(save_adapter(tmp_path / "a.safetensors", model), pristine)
    expected = outputs(model, x)
    assert torch.equal(outputs(pristine, x), expected) and pristine.cls_token.requires_grad
    assert relative(outputs(merge(copy.deepcopy(pristine)), x), expected) <= 1e-5
    assert torch.equal(outputs(remove(pristine), x), plain)


def test_an_unfrozen_convolution_with_its_norm_folded_in_cannot_be_saved(tmp_path):
    model = build("dilated_resnet")
    inject(model, rank=2)
    model.conv1[0]._parameters["weight"].requires_grad_(True)
    with pytest.raises(ValueError, match=r"conv1\.0\.weight was unfrozen.*fold_norms=False"):
        save_adapter(tmp_path / "a.safetensors", model)


@pytest.mark.parametrize("name", ["conv1.0.weight", "bn1.weight"])
def test_a_file_with_values_of_a_folded_layer_is_refused_and_the_model_left(trained, name):
    _, path = trained
    pristine = build("dilated_resnet")
    state = copy.deepcopy(pristine.state_dict())
    rewritten(path, lambda tensors, header: tensors.update({name: state[name].clone()}))
    with pytest.raises(AdapterError, match=re.escape(name)):
        load_adapter(path, pristine)
    assert injection_of(pristine) is None and all(p.requires_grad for p in pristine.parameters())
    assert all(torch.equal(value, state[key]) for key, value in pristine.state_dict().items())


def test_a_run_folder_stands_for_its_file(trained):
    model, path = trained
    fresh, pool = build("dilated_resnet"), AdapterPool(build("dilated_resnet"))
    load_adapter(path.parent, fresh)
    pool.load("run", path.parent)
    pool.activate("run")
    for loaded in (fresh, pool.model):
        assert torch.equal(outputs(loaded, images(loaded)), outputs(model, images(model)))
    assert read_adapter(str(path.parent)) == read_adapter(path)


@pytest.mark.parametrize(
    ("left", "message"),
    [
        ("weights.safetensors", "every weight was trained, and weights.safetensors holds them"),
        ("adapter_config.json", "it is of PEFT, load_peft reads it"),
        ("config.yaml", "give the folder of a finished training"),
    ],
)
def test_a_folder_without_an_adapter_says_what_it_holds_instead(left, message, tmp_path):
    (tmp_path / left).write_bytes(b"")
    refuses(tmp_path, f"holds no adapter.safetensors: {message}")


def test_the_file_of_peft_is_told(tmp_path):
    (tmp_path / "adapter_config.json").write_bytes(b"{}")
    save_file({"a": torch.zeros(1)}, tmp_path / "adapter_model.safetensors")
    refuses(tmp_path / "adapter_model.safetensors", "no Graft adapter: it is of PEFT, load_peft reads it")


def test_a_header_without_end_is_damaged(tmp_path):
    save_file({"A": torch.zeros(1)}, tmp_path / "deep.safetensors", {"graft": "[" * 200_000})
    refuses(tmp_path / "deep.safetensors", "no Graft adapter that this version can read")
