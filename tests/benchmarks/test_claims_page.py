import re

import pytest

from src.benchmarks.claims_page import LINES, curves, page
from src.benchmarks.contenders import CONTENDERS
from src.benchmarks.verdicts import judge, means
from tests.benchmarks.test_verdicts import full, trial

CURVE = [{"seconds": 10.0, "val_balanced_accuracy": 0.5}, {"seconds": 20.0, "val_balanced_accuracy": 0.7}]


@pytest.fixture
def rows():
    made = [row for name in ("a<b>", "c") for row in (full(name, 0), trial(name, 0, "graft", 0.8))]
    failed = {"model": "m", "dataset": "c", "seed": 0, "method": "peft", "error": "no"}
    return [{**row, "curve": CURVE} for row in made] + [failed]


def written(rows):
    return page(rows, means(rows), judge(rows), ["skipped: <d>: gone"], ["a note"], "the command", {"cores": 2})


def test_the_page_needs_no_other_file_and_is_the_same_each_time(rows):
    html = written(rows)
    assert not re.search(r"<script|<link|<img|src=|url\((?!#)|@import", html) and "default-src 'none'" in html
    assert html == written(rows)


def test_it_shows_a_figure_for_each_set_every_claim_and_what_is_missing(rows):
    html = written(rows)
    assert html.count("<svg") == 2 and html.count("All sets") == 1
    assert "a<b>" not in html and "a&lt;b&gt;" in html and "skipped: &lt;d&gt;: gone" in html
    claims = html[html.index("<h2>Claims") : html.index("</section>", html.index("<h2>Claims"))]
    assert claims.count("<tr>") == 1 + 7 and claims.count('class="missed"') == 3  # accuracy, on both sets and all
    assert claims.count('class="open"') == 3  # no head was measured
    assert "the command" in html and "cores 2" in html and "a note" in html


def test_the_mean_of_the_seeds_is_drawn_over_each_of_them(rows):
    later = [{**point, "seconds": point["seconds"] + 10} for point in CURVE]
    one = [trial("a", 0, "graft", curve=CURVE)]
    two = [*one, trial("a", 1, "graft", curve=later)]

    def lines(drawn):
        return curves(drawn, "x").count(f"stroke: {LINES['graft']}")

    assert lines(two) > lines(one) and ">graft<" in curves(two, "x") and ">full<" not in curves(two, "x")


def test_every_method_has_a_colour_of_its_own():
    assert list(LINES)[:2] == ["full", "head"] and set(LINES) == set(CONTENDERS)
    assert len(set(LINES.values())) == len(LINES)


def test_without_a_row_there_is_still_a_page():
    assert "Not measured" in page([], [], [], ["skipped: a: gone"], [], "the command", {})
