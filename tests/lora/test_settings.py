import json

import pytest

from src.lora import LoraSettings, inject, injection_of
from tests.lora.conftest import build


def test_the_first_pattern_that_matches_counts():
    settings = LoraSettings(8, 16.0, ranks={"blocks.0.*": 2, "blocks.*": 4}, alphas={"*.fc1": 1.0})
    found = [(settings.recipe(name).rank, settings.recipe(name).scale) for name in ("blocks.0.fc1", "blocks.1.x", "a")]
    assert found == [(2, 0.5), (4, 4.0), (8, 2.0)]


def test_patterns_reach_the_layers():
    model = build("vit")
    layers = inject(model, rank=2, targets="mlp", ranks={"blocks.0.*": 3}).layers
    for layer in layers:
        weight = model.get_submodule(layer.name)._parameters[layer.attribute]
        assert layer.parameters == (3 if layer.name.startswith("blocks.0.") else 2) * sum(weight.shape)


def test_json_gives_the_same_settings_back():
    settings = LoraSettings(targets=["a", "b"], ranks={"a": 2}, alphas={"b": 1}, kind="dora", dropout=0.1)
    assert LoraSettings(**json.loads(json.dumps(settings.to_dict()))) == settings


def test_settings_of_an_earlier_file_still_read():
    settings = LoraSettings(**{"rank": 4, "alpha": 8.0, "targets": ["conv"], "fold_norms": True})
    assert (settings.kind, settings.init, settings.scaling, settings.dropout) == ("lora", "default", "lora", 0.0)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"kind": "lore"}, r"lora\.kind='lore' is unknown: choose one of lora, dora"),
        ({"init": "zeros"}, r"lora\.init='zeros' is unknown: choose one of default, pissa"),
        ({"scaling": "none"}, r"lora\.scaling='none' is unknown: choose one of lora, rslora"),
        ({"dropout": "a"}, r"lora\.dropout must be at least 0"),
        ({"targets": 5}, r"lora\.targets must be a word"),
        ({"targets": [1]}, r"lora\.targets must be a word"),
        ({"ranks": [1]}, r"lora\.ranks must map globs"),
        ({"fold_norms": "no"}, r"lora\.fold_norms must be true or false"),
        ({"kind": ["lora"]}, r"lora\.kind=\['lora'\] is unknown"),
        ({"dropout": 1.0}, r"lora\.dropout must be at least 0 and below 1"),
        ({"ranks": {"*": 0}}, r"lora\.ranks\['\*'\] must be a whole number of at least 1, not 0"),
        ({"alphas": {"*": float("nan")}}, r"lora\.alphas\['\*'\] must be above 0 and finite"),
        ({"alpha": "8"}, r"lora\.alpha must be above 0"),
        (
            {"ranks": {"blokcs.0.mlp.fc1": 2}},
            r"lora\.ranks: .* matches no adapted layer; near names: blocks\.0\.mlp\.fc1",
        ),
        ({"alphas": {"head": 2.0}}, r"lora\.alphas: 'head' matches no adapted layer"),
    ],
)
def test_refuses_what_makes_no_adapter_and_leaves_the_model_alone(choice, message):
    model = build("vit")
    with pytest.raises(ValueError, match=message):
        inject(model, **choice)
    assert injection_of(model) is None and all(parameter.requires_grad for parameter in model.parameters())


def test_a_name_with_brackets_is_matched_as_it_is():
    settings = LoraSettings(rank=4, ranks={"mix[0]": 2}, alphas={"mix[0]": 6.0})
    settings.check_patterns(["mix[0]"])
    assert settings.recipe("mix[0]").rank == 2 and settings.recipe("mix[0]").scale == 3
