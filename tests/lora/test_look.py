"""Looking at people's models: what they take, what they raise, and that nothing of a look remains."""

import logging

import pytest
import timm
import torch
from torch import nn

from src.lora import AdapterPool, inject, load_adapter, load_peft, remove, save_adapter, save_peft
from src.lora.fold import fold_norms
from src.lora.look import Unseen, agree, examples_of, look, run
from src.lora.trace import tensors
from tests.lora.conftest import outputs, relative, stir
from tests.lora.test_undo import assert_same, what_it_is


class Net(nn.Module):
    """A conv and its norm, read from whatever `unpack` makes of the arguments."""

    def __init__(self, unpack=lambda x: x, pack=lambda y: y):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.unpack, self.pack = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), unpack, pack
        self.norm.running_var.fill_(3.0)

    def forward(self, *args, **kwargs):
        return self.pack(self.norm(self.conv(self.unpack(*args, **kwargs))))


class Empty(Net):
    """A detector that finds nothing."""

    def forward(self, x):
        return [{"boxes": super().forward(x)[:0].flatten(1), "labels": torch.zeros(0, dtype=torch.int64)}]


def raises(error):
    def unpack(x):
        raise error

    return unpack


X = torch.randn(2, 3, 8, 8)
IMPOSSIBLE = {
    "a dict": Net(lambda batch: batch["image"]),
    "two inputs": Net(lambda x, y: x + y),
    "nothing found": Empty(),
    "ends": Net(raises(StopIteration())),
    "asserts": Net(raises(AssertionError())),
    "no such attribute": Net(raises(AttributeError("two\nlines"))),
    "text alone": Net(pack=lambda y: "cat"),
}


@pytest.mark.parametrize("key", IMPOSSIBLE)
def test_what_cannot_be_looked_at_is_adapted_unfolded_with_a_warning(key, caplog):
    model = IMPOSSIBLE[key]
    with caplog.at_level(logging.WARNING):
        injection = inject(model, rank=1)
    assert injection.folded == 0 and len(injection.layers) == 1
    assert "stay unfolded" in caplog.text and "\n" not in caplog.messages[0]
    remove(model)


def test_an_example_lets_a_model_of_any_signature_fold():
    for unpack, example in (
        (lambda batch: batch["image"], ({"image": X},)),
        (lambda x, y: x + y, (X, X)),
        (lambda *, pixels, scale: pixels * scale, {"pixels": X, "scale": 2}),
        (lambda images: torch.stack(images), [X[0], X[1]]),
    ):
        model = Net(unpack, lambda y: {"logits": y, "loss": None, "name": "x", "more": (y, 3)}).eval()
        plain = tensors(run(model, example))
        before = X.clone()
        assert inject(model, rank=1, example=example).folded == 1
        assert torch.equal(X, before)
        for now, then in zip(tensors(run(model, example)), plain, strict=True):
            assert relative(now, then) <= 1e-5


def test_an_example_that_the_model_does_not_take_is_refused_and_leaves_it_as_it_was():
    model = Net(lambda batch: batch["image"])
    before = what_it_is(model)
    with pytest.raises(ValueError, match=r"does not run on the example \(KeyError: 'image'\)"):
        inject(model, rank=1, example=({"picture": X},))
    assert_same(model, before)


def test_the_example_goes_with_every_way_to_load(tmp_path):
    def net():
        return Net(lambda batch: batch["image"]).eval()

    model, example = net(), ({"image": X},)
    inject(model, rank=1, example=example)
    stir(model)
    expected = model(*example).detach()
    save_adapter(tmp_path / "file", model)
    save_peft(tmp_path / "folder", model, example)
    with pytest.raises(ValueError, match=r"1 batch norms folded, and 0 fold here.*the same example="):
        load_adapter(tmp_path / "file", net())
    load_adapter(tmp_path / "file", again := net(), example)
    assert torch.equal(again(*example), expected)
    load_peft(tmp_path / "folder", again := net(), example)
    assert relative(again(*example), expected) <= 1e-5
    pool = AdapterPool(net(), example)
    pool.load("a", tmp_path / "file")
    pool.activate("a")
    assert torch.equal(pool.model(*example), expected)


def test_a_peft_folder_is_written_of_a_model_that_cannot_be_run(tmp_path, caplog):
    model = Net(lambda batch: batch["image"])
    inject(model, rank=1)
    save_peft(tmp_path, model)
    assert "whether every adapted layer is called" in caplog.text


class Counting(Net):
    """A model that notes, counts, draws and caches whenever it runs, and whose input is changed in place."""

    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros(1))
        self.seen, self.calls, self.cache = [], 0, None
        self.plain, self.kept = torch.zeros(1), {"last": [torch.zeros(2)]}
        self.scale = torch.ones(1, 1).expand(1, 4)  # which nothing can be written to

    def forward(self, x):
        self.steps.add_(1)
        self.plain += 1
        self.kept["last"][0].fill_(3)
        self.seen.append(x)
        self.calls, self.cache = self.calls + 1, torch.rand(2)
        return super().forward(x.sub_(0.5))


def test_nothing_of_a_look_remains():
    model = Counting().train()
    state, before = torch.random.get_rng_state(), what_it_is(model)
    assert look(model, X, lambda example: run(model, example))[1][0].shape == (2, 4, 6, 6)
    assert_same(model, before)
    assert not model.seen and torch.equal(torch.random.get_rng_state(), state)
    assert not model.plain.any() and not model.kept["last"][0].any()
    assert fold_norms(model) == 1 and not model.seen and not model.steps.any()


def test_sizes_come_from_the_model():
    def sizes(model):
        return [tuple(example.shape) for example in examples_of(model)]

    vit = timm.create_model("test_vit", img_size=96, in_chans=1)
    assert sizes(vit)[:2] == [(2, 1, 160, 160), (2, 1, 96, 96)]
    assert sizes(nn.Conv2d(4, 2, 3)) == [(2, 4, 224, 224)]
    assert sizes(nn.Linear(4, 2).double()) == [(2, 3, 224, 224)]
    assert next(examples_of(nn.Linear(4, 2).double())).dtype == torch.float64
    xcit = timm.create_model("xcit_nano_12_p16_224", img_size=32, num_classes=2, depth=1).eval()
    assert inject(xcit, rank=1).folded > 0


def test_runs_agree_only_on_something():
    one, ids = torch.ones(2), torch.tensor([3, 4])
    assert agree([one, ids], [one, ids]) and agree([ids > 3], [ids > 3])
    for after, before in (
        ([], []),
        ([one[:0]], [one[:0]]),
        ([one], [one[:1]]),
        ([one], [one, one]),
        ([one * torch.nan], [one * torch.nan]),
        ([ids], [ids + 1]),
    ):
        assert not agree(after, before)


def test_models_of_transformers_keep_their_size_in_a_configuration(caplog):
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    picture = {**small, "image_size": 32, "patch_size": 16}
    vit = transformers.ViTForImageClassification(transformers.ViTConfig(**picture)).eval()
    words = {**small, "vocab_size": 9, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    clip = transformers.CLIPModel(transformers.CLIPConfig(text_config=words, vision_config=picture, projection_dim=8))
    pixels = torch.randn(2, 3, 32, 32)
    for model in (vit, clip.eval()):
        assert next(examples_of(model)).shape == pixels.shape
        before, plain = what_it_is(model), [type(module) for module in model.modules()]
        assert inject(model, rank=1).layers
        remove(model)
        assert [type(module) for module in model.modules()] == plain and [*model.state_dict()] == before[1]
    assert not [record for record in caplog.records if record.name.startswith("src.")]
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
    resnet = transformers.ResNetForImageClassification(config).eval()
    with torch.no_grad():
        expected = resnet(pixels).logits
        assert inject(resnet, rank=1).folded == 3
        assert relative(resnet(pixels).logits, expected) <= 1e-5


@pytest.mark.slow
def test_a_detector_says_the_same_in_both_modes_and_comes_back():
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    build = torchvision.models.detection.ssdlite320_mobilenet_v3_large
    model = build(weights=None, weights_backbone=None, num_classes=3).eval()
    images = [torch.rand(3, 96, 96)]
    expected, state = model(images)[0]["scores"].detach(), {k: v.clone() for k, v in model.state_dict().items()}
    assert inject(model, rank=1, example=(images,)).folded > 50
    assert relative(model(images)[0]["scores"], expected) <= 1e-4
    remove(model)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_a_look_says_how_it_failed_on_the_likeliest_size():
    model = timm.create_model("test_vit", num_classes=2)
    model.pretrained_cfg = {"input_size": (3, 50, 50)}
    assert look(model, None, lambda example: run(model, example))[0].shape == (2, 3, 160, 160)
    with pytest.raises(Unseen, match=r"does not run on noise of \(2, 3, 50, 50\) \(AssertionError"):
        look(model, None, lambda example: run(model, example[:, :, :50, :50]))


def test_outputs_of_any_nesting_are_found():
    from dataclasses import dataclass

    @dataclass
    class Output:
        logits: torch.Tensor
        loss: float

    found = tensors({"a": [X, None, "text", 3], "b": Output(X, 0.1), "c": {"d": (X,)}, "e": object()})
    assert len(found) == 3 and outputs(nn.Identity(), X) is X


@pytest.mark.parametrize("draws", [False, True])
def test_only_a_model_that_draws_touches_the_generator_that_threads_share(draws):
    states = []

    def draw(y):
        y = nn.functional.dropout(y, 0.5, training=draws)
        states.append(torch.random.get_rng_state())
        return y

    model, before = Net(pack=draw), torch.random.get_rng_state()
    assert fold_norms(model) == 1 and torch.equal(torch.random.get_rng_state(), before)
    assert len(states) > 1 and all(torch.equal(state, states[0]) for state in states)
    assert torch.equal(states[0], before) != draws


def test_a_config_of_another_kind_is_left_alone():
    model = Net()
    model.pretrained_cfg = "configs/net.yaml"
    assert inject(model, rank=1).folded == 1
    remove(model)
    assert model.pretrained_cfg == "configs/net.yaml"


@pytest.mark.filterwarnings("ignore:`torch.jit.script:FutureWarning")
def test_a_scripted_part_gets_its_mode_back():
    model = nn.Sequential(Net(), torch.jit.script(nn.Sequential(nn.Conv2d(4, 4, 1), nn.Dropout(0.5)))).train()
    assert inject(model, rank=1, targets=["0.conv"]).folded == 1
    assert model[1].training
    remove(model)
    assert all(module.training for module in model.modules())
