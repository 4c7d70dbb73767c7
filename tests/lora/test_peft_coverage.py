"""The table of families in exports/benchmarks.md, measured again."""

import re
import warnings
from importlib.metadata import version

import pytest

from tests.conftest import ROOT
from tests.lora.family_table import FAMILIES
from tests.lora.peft_coverage import METHODS, VERDICTS, table, tally

ROW = re.compile(r"^\| ([^|]+) \| ((?:\d+ \| ?){4})$", re.MULTILINE)
UNLIKE = ["deit", "efficientnet", "nfnet", "swin_transformer_v2"]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def counts(rows):
    return {method: {row[0]: int(row[place]) for row in rows} for place, method in enumerate(METHODS, start=1)}


@pytest.mark.slow
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
def test_graft_works_on_every_family_and_the_page_says_what_peft_does():
    verdicts, rows = tally(list(FAMILIES))
    works = {word: len(FAMILIES) * (word == "works") for word in VERDICTS}
    assert counts(rows)["Graft"] == works, table("family", verdicts)
    page = (ROOT / "exports/benchmarks.md").read_text()
    told = re.search(r"One model of each of (\d+) families.* PEFT (\d+\.\d+) beside it", page)
    assert told and int(told[1]) == len(FAMILIES)
    rows_told = {name: [int(number) for number in cells.split("|")[:4]] for name, cells in re.findall(ROW, page)}
    assert rows_told["Graft"] == list(works.values())
    if version("peft").startswith(f"{told[2]}."):
        found = [[int(row[place]) for row in rows] for place in (2, 3)]
        said = [rows_told["PEFT, all layers"], rows_told["PEFT, without grouped convolutions"]]
        assert said == found, f"PEFT {version('peft')} does this now:\n{table('families', rows)}"
