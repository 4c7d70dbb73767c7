"""What people type reaches the config in their own spelling, and is shown to them as they typed it."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st

from src.overrides import LISTS, NAMES, PATHS, as_typed, literal

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
