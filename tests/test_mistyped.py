"""What is advised of a wrong override composes, and is taken by what it is given to; nothing else is advised."""

import shlex
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from src.mistyped import mistyped, require_known
from src.overrides import literal
from src.typed import find_unknown

CONF = Path(__file__).parents[1] / "conf"
QUOTED, QUOTED_NUMBERS = shlex.quote("backbone.name='a,b'"), shlex.quote("threads='1,2'")


def told(monkeypatch, config, line):
    """Return what a user who typed `line` is told."""
    typed = [literal(word) for word in shlex.split(line)]
    monkeypatch.setattr(sys, "argv", [f"src/{config}.py", *typed])
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(HydraException) as raised:
        compose(config, [word for word in typed if word != "-m"])
    return str(mistyped(raised.value, config, sweeps=config == "train"))


@pytest.mark.parametrize(
    ("config", "line", "message", "mended"),
    [
        (
            *("train", "+experiment=defects data.root=x", "no data.root with data=elpv: write data=folder (or data=s"),
            "+experiment=defects data=folder data.root=x",
        ),
        ("train", "data.table=x", "no data.table with data=folder: write data=table", "data=table data.table=x"),
        ("train", "lora=none lora.rank=4", "with lora=none: write lora=lora (or lora=dora, l", "lora=lora lora.rank=4"),
        ("evaluate", "data=folder data.table=x", "with data=folder: write data=table", "data=table data.table=x"),
        ("train", "data.postive=défaut", "did you mean data.positive?", "data.positive=défaut"),
        ("train", "nam=x", "did you mean name?", "name=x"),
        ("train", "lora.rnk=4 trainer.max_epoch=3", "did you mean lora.rank?", "lora.rank=4"),
        ("train", "trainer.max_steps=3", "write +trainer.max_steps= to add it", "+trainer.max_steps=3"),
        ("train", "optimizer.betas=[0.9,0.95]", "write +optimizer.betas= to", "+optimizer.betas=[0.9,0.95]"),
        ("train", "lora.ranks={a.*:4}", "takes new entries with a plus: write +lora.ranks=", "+lora.ranks={a.*:4}"),
        ("train", "experiment=defects", "write +experiment=defects", "+experiment=defects"),
        ("train", "+trainer.max_epochs=2", "is there already: write trainer.max_epochs=2", "trainer.max_epochs=2"),
        ("train", "+data=elpv", "data is there already: write data=elpv", "data=elpv"),
        ("train", "backbone.name=é", "quote the value, 'backbone.name=", "\"backbone.name='é'\""),
    ],
)
def test_advice_composes(config, line, message, mended, monkeypatch):
    text = told(monkeypatch, config, line)
    assert message in text, text
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert not list(find_unknown(compose(config, list(map(literal, shlex.split(mended))))))


@pytest.mark.parametrize(
    ("config", "line", "text"),
    [
        ("train", "trainer.strategy=ddp", "there is no trainer.strategy (trainer takes accelerator, accumul"),
        ("train", "optimizer.momentum=0.9", "there is no optimizer.momentum (optimizer takes amsgrad, betas"),
        (
            "train",
            "data.augment.degrees=3",
            "there is no data.augment.degrees (data.augment takes brightness, contrast, symmetry)",
        ),
        ("train", "data.x.y=3", "there is no data.x.y in conf/train.yaml and its groups"),
        ("train", "foo=1", "there is no foo in conf/train.yaml and its groups"),
        (
            "train",
            "data.root x",
            "data.root is no KEY=VALUE: write each setting as one word with an =, as in data.root",
        ),
        ("evaluate", "/runs/x", "/runs/x is no KEY=VALUE: write each setting as one word with an =, as in adapter=..."),
        ("train", "seed=é", "seed=é is not in Hydra's grammar: correct the value"),
        ("train", "data=nothing", "there is no data=nothing (choose from elpv, folder, huggingface, seedlings, table)"),
        ("audit", "lora.rank=4", "there is no lora.rank in conf/audit.yaml and its groups"),
        ("evaluate", "experiment=defects", "conf/evaluate.yaml has no experiment: this command takes none"),
    ],
)
def test_where_nothing_composes_nothing_is_advised(config, line, text, monkeypatch):
    assert told(monkeypatch, config, line).startswith(text)


@pytest.mark.parametrize(
    ("config", "line", "text"),
    [
        ("train", "lora.rank=4,8", "lora.rank=4,8 gives several values: add -m to go over them"),
        ("train", "data=folder,table", "data=folder,table gives several values: add -m to go over them"),
        ("train", "optimizer.lr=range(1,3)", "optimizer.lr=range(1,3) gives several values: add -m to go over them"),
        ("evaluate", "data=folder,table", "data=folder,table gives several values: give one"),
        (
            *("evaluate", "views=identity,both"),
            "views=identity,both gives several values: write a list, 'views=[identity,both]'",
        ),
        (
            *("train", "backbone.name=a,b"),
            f"backbone.name=a,b gives several values: add -m to go over them or quote the value, {QUOTED}",
        ),
        ("predict", "threads=1,2", "threads=1,2 gives several values: quote the value, " + QUOTED_NUMBERS),
    ],
)
def test_several_values_are_gone_over_only_by_a_command_that_can(config, line, text, monkeypatch):
    assert told(monkeypatch, config, line) == text


def test_a_target_that_was_typed_is_the_one_that_is_judged(monkeypatch):
    text = told(monkeypatch, "train", "optimizer._target_=torch.optim.SGD optimizer.momentum=0.9")
    assert text.endswith("write +optimizer.momentum= to add it")
    text = told(monkeypatch, "train", "optimizer._target_=torch.optim.SGD optimizer.amsgrad=true")
    assert "there is no optimizer.amsgrad (optimizer takes dampening" in text


def test_a_value_of_a_sweep_is_tried(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["src/train.py", "-m", "lora.rnk=4,8"])
    error = HydraException("Could not override 'lora.rnk'.\nKey 'rnk' is not in struct")
    assert str(mistyped(error, "train")).endswith("did you mean lora.rank?")


@pytest.mark.parametrize(
    ("config", "word", "message"),
    [
        ("train", "+foo=1", "there is no foo in conf/train.yaml"),
        ("train", "++foo=1,2", "there is no foo in conf/train.yaml"),
        ("train", "+sede=1", "did you mean seed?"),
        ("train", "+dta.root=x", "there is no dta in conf/train.yaml and its groups: did you mean data?"),
        ("evaluate", "+lora=dora", "there is no lora in conf/evaluate.yaml"),
        (
            "export",
            "+backbone.weight=x",
            "there is no backbone.weight in conf/export.yaml and its groups: did you mean w",
        ),
        ("evaluate", "+backbone=resnet50", "there is no backbone.name in conf/evaluate.yaml"),
    ],
)
def test_a_plus_adds_nothing_that_no_command_reads(config, word, message, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", word])
    with pytest.raises(ValueError) as raised:
        require_known(config, [word])
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ("train", "+experiment=defects"),
        ("train", "+trainer.max_steps=3"),
        ("train", "+callbacks.more={_target_: x}"),
        ("train", "+hydra.job.name=x"),
        ("export", "+data.line1.root=x"),
        ("train", "+data.more=x"),  # its target says it
        ("train", "+foo='é"),  # Hydra will say it
    ],
)
def test_what_a_plus_may_add_is_left_alone(config, word, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", word])
    require_known(config, [word])
