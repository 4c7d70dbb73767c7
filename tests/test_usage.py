"""The page of `--help`: our own, readable, and with nothing in it that is not so."""

import shlex

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from src.__main__ import VERBS
from src.overrides import literal
from src.package import CONF
from src.usage import WIDTH, page, read_head


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_a_page(verb):
    head, text = read_head(verb), page(verb, [])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.startswith(head.purpose) and len(head.examples) == 2 and ".md" in head.more
    lines = {line.split("=")[0].strip(): line for line in text.splitlines() if line.startswith("  ") and "=" in line}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose(verb)
        for example in head.examples:
            assert f"python -m src.{verb} {example}\n" in text
            compose(verb, list(map(literal, shlex.split(example))))
    for key in [*map(str, composed), *head.keys]:
        if not OmegaConf.is_dict(OmegaConf.select(OmegaConf.create(OmegaConf.to_container(composed)), key)):
            assert key in lines, key


@pytest.mark.parametrize("verb", VERBS)
def test_every_key_has_a_default_and_a_meaning(verb):
    (keys,) = [part for part in page(verb, []).split("\n\n") if part.startswith("Keys")]
    lines = keys.splitlines()[1:]
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        said = line[34:].strip() if len(line) > 34 and line[33] == " " else after[34:].strip()
        assert said, line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--cfg job --help", "  lora.rank=8 "),
        ("--config-dir a=b --help", "  lora.rank=8 "),
        ("-m lora.rank=4,8 --help", "  lora.rank=4 "),
        ("lora=none,dora hydra.sweep.dir=x ~logger -h", "  lora=none "),
    ],
)
def test_the_page_is_printed_whatever_stands_beside_the_flag(words, line, invoke):
    ended = invoke("train", *words.split())
    assert ended.code == 0 and f"\n{line}" in ended.out and not ended.err


def test_what_the_grammar_refuses_is_told_in_place_of_the_page(invoke):
    ended = invoke("train", "lora.rank=é", "--help")
    assert ended.code == 2 and ended.err == "error: lora.rank=é is not in Hydra's grammar: correct the value\n"


def test_defaults_are_those_of_the_config_that_is_asked_about():
    text = page("train", ["data=table", "lora=none", "seed=7"])
    assert "  data=table " in text and "  seed=7 " in text and "elpv, folder, huggingface" in text
    assert ["data.batch_size=16", "Images", "in", "a", "batch."] in list(map(str.split, text.splitlines()))
