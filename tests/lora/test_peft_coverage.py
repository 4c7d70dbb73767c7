"""The table of families that the README shows, measured again."""

import re
import warnings
from importlib.metadata import version

import pytest

from tests.conftest import ROOT
from tests.lora.family_table import FAMILIES
from tests.lora.peft_coverage import METHODS, VERDICTS, table, tally

UNLIKE = ["deit", "efficientnet", "nfnet", "swin_transformer_v2"]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def counts(rows):
    return {method: {row[0]: int(row[place]) for row in rows} for place, method in enumerate(METHODS, start=1)}


def test_the_probe_tells_the_verdicts_apart():
    verdicts, rows = tally(UNLIKE)
    words = {row[0]: [text.partition(" (")[0] for text in row[1:]] for row in verdicts}
    assert words == {
        "deit": ["works", "works", "works"],
        "efficientnet": ["works", "raises", "works"],
        "nfnet": ["works", "raises", "wrong merge"],
        "swin_transformer_v2": ["works", "silently dead", "silently dead"],
    }
    assert [sum(column.values()) for column in counts(rows).values()] == [4, 4, 4]


@pytest.mark.slow
def test_graft_works_on_every_family_and_the_readme_says_what_peft_does():
    verdicts, rows = tally(list(FAMILIES))
    works = {word: len(FAMILIES) * (word == "works") for word in VERDICTS}
    assert counts(rows)["Graft"] == works, table("family", verdicts)
    readme = " ".join((ROOT / "README.md").read_text().split())
    told = re.search(r"PEFT (\d+\.\d+) does on (\d+) families: ([^;]*); without grouped convs: ([^.]*)\.", readme)
    assert told and int(told[2]) == len(FAMILIES)
    if version("peft").startswith(f"{told[1]}."):
        found = [", ".join(f"{row[0]} {row[place]}" for row in rows) for place in (2, 3)]
        assert [told[3], told[4]] == found, f"PEFT {version('peft')} does this now:\n{table('families', rows)}"
