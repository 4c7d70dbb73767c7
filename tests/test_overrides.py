"""What people type reaches the config in their own spelling, and is shown to them as they typed it."""

import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from src.overrides import LISTS, NAMES, PATHS, as_typed, command_line, literal

CONF = Path(__file__).parents[1] / "conf"
UNSEEN = ("augment", "batch_size", "seed")
HARD = "'\"\\,=[]{}():$ \t\n#~+-.01_eaé"
TEXTS = st.one_of(st.text(), st.text(HARD), st.sampled_from(["null", "true", "1_0", "0.10", "1e3", "nan", "[é]"]))
UNQUOTED = TEXTS.filter(lambda text: text not in ("", "null") and not (text[0] in "'\"" and text[-1] == text[0]))
NAME = st.text("'\"é:=(){}# ._-01eT", min_size=1).filter(lambda name: name == name.strip() and name[0] not in "'\"")


def read(word):
    """Return what Hydra reads."""
    return OverridesParser.create().parse_override(word).value()


@given(st.sampled_from(sorted(PATHS | NAMES)), UNQUOTED)
@example("data.root", "o'brien")
def test_any_text_is_read_as_typed_and_shown_as_typed(key, text):
    word = f"{key}={text}"
    assert read(literal(word)) == text
    assert as_typed(literal(word)) == word
    assert shlex.split(shlex.join([as_typed(literal(word))])) == [word]


@given(st.sampled_from(sorted(PATHS | NAMES | LISTS)), st.sampled_from(("", "+", "++", "~")), TEXTS, st.booleans())
def test_quoting_again_and_showing_change_nothing(key, plus, text, multirun):
    word = literal(f"{plus}{key}={text}", multirun)
    assert literal(word, multirun) == word
    assert literal(as_typed(literal(word))) == literal(word)


@given(st.text(HARD))
def test_overrides_of_other_keys_are_left_alone(text):
    for word in (f"lora.rank={text}", text, f"data={text}"):
        assert literal(word) == word == as_typed(word)


@given(st.sampled_from(sorted(LISTS)), st.lists(NAME, min_size=1))
def test_names_in_a_list_keep_their_spelling(key, names):
    word = f"{key}=[{','.join(names)}]"
    assert read(literal(word)) == names
    assert as_typed(literal(word)) == word


@given(st.lists(st.text(HARD, min_size=1), min_size=1))
def test_any_names_can_be_quoted_in_a_list(names):
    quoted = [literal(f"name={name}").partition("=")[2] if name != "null" else "'null'" for name in names]
    read_back = [read(f"name={name}") for name in quoted]
    assert read(literal(f"data.classes=[{', '.join(quoted)}]")) == read_back


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("name=été", "été"),
        ("data.positive=1_0", "1_0"),
        ("data.positive=null", None),
        ("data.positive='a b'", "a b"),
        ("data.classes=[bon, défaut,0.10,1e3,true,null]", ["bon", "défaut", "0.10", "1e3", "true", "null"]),
        (r"data.classes=['a,b',c\,d,\[e\]]", ["a,b", "c,d", "[e]"]),
        ("data.classes=null", None),
        ("data.classes=[]", []),
        ("data.columns={path: Datei, label: größe, group: null}", {"path": "Datei", "label": "größe", "group": None}),
        ("+data.columns.label=größe", "größe"),
        ("adapters={line1: C:\\é=1, line2: 'a, b'}", {"line1": "C:\\é=1", "line2": "a, b"}),
        ("lora.targets=dense", "dense"),
        ("lora.targets=[blocks.[0-3].*,0]", ["blocks.[0-3].*", "0"]),
    ],
)
def test_names_are_read_in_their_own_spelling(word, expected):
    assert read(literal(word)) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("name=été,1_0", ["'été'", "'1_0'"]),
        ("name='a,b',c", ["'a,b'", "'c'"]),
        ("data.classes=[é,a],[a,é]", ["['é','a']", "['a','é']"]),
        ("lora.targets=dense,[conv,a b]", ["'dense'", "['conv','a b']"]),
        ("lora.targets=choice(dense,all)", ["dense", "all"]),
        ("data.positive=null,a", ["null", "'a'"]),
    ],
)
def test_a_sweep_goes_over_names(word, expected):
    override = OverridesParser.create().parse_override(literal(word, multirun=True))
    assert list(override.sweep_string_iterator()) == expected


def seen(config):
    parts = OmegaConf.to_container(OmegaConf.create({"data": config.data, "backbone": config.backbone, "seed": 0}))
    return {
        group: {key: parts[group][key] for key in parts[group] if key not in UNSEEN}
        for group in parts
        if group != "seed"
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["data.root='parts'"], "data.root=parts"),
        (["+experiment=defects", "seed=3"], "data=elpv"),
        (["+experiment=crops", "data.root='a b/é=1'"], "'data.root=a b/é=1'"),
        (["+experiment=crops", "data=seedlings", "data.count=9"], "data=seedlings data.count=9"),
        (["data.root='it\\'s'", "data.cache_dir=null"], "data.cache_dir=null " + shlex.quote("data.root=it's")),
        (["data.root='\\'q\\''"], None),
        (["data=table", "data.table='t.csv'", "data.columns={label: 3, group: null}", "data.classes=[0,'a b']"], None),
        (["data=table", "data.table='t.csv'", "data.classes=['true','1','no','null']", "data.positive='1'"], None),
        (["data.root=x", "data.positive=défaut"], "data.root=x 'data.positive=défaut'"),
        (["data.root=x", "data.classes=[1_0,défaut]"], "data.root=x 'data.classes=[1_0,défaut]'"),
        (["data=huggingface", "data.path=u/n", "data.splits={all: train}", "data.bit_depth=12"], None),
        (
            ["backbone=resnet50", "data.allow=[groups_across_splits]"],
            "'data.allow=[groups_across_splits]' backbone=resnet50",
        ),
        (["backbone.name=vit.x", "backbone.weights='w=1.pth'", "~data.crop_pct"], None),
        (["data.folds=5", "data.fold=0", "data.limit=40", "data.crop_pct=0.875", "data.split_seed=-1"], None),
    ],
)
def test_the_command_line_of_an_audit_composes_the_same_data_and_backbone(asked, expected):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        asked = compose("train", list(map(literal, asked)))
        line = command_line("audit", asked, UNSEEN)
        words = shlex.split(line)
        again = compose("audit", list(map(literal, words[3:])))
    assert words[:3] == ["python", "-m", "src.audit"]
    assert expected is None or line == f"python -m src.audit {expected}"
    assert seen(again) == seen(asked)


def test_the_command_line_of_a_run_that_was_read_from_its_folder_is_the_same():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        asked = compose("train", ["+experiment=crops", "data=table", "data.table='t é.csv'", "backbone=resnet50"])
        resumed = OmegaConf.create(OmegaConf.to_yaml(asked, resolve=True))
        assert command_line("audit", resumed, UNSEEN) == command_line("audit", asked, UNSEEN)
