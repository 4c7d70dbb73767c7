"""The pages that people read: links lead somewhere, tables of contents are whole, the front door is short."""

import re
from pathlib import Path

import pytest

from tests.conf_page import PAGE, renew

ROOT = Path(__file__).parents[1]
PLACES = ("README.md", "conf/*.md", "data/*.md", "exports/*.md", "exports/guide/*.md", ".github/*.md")
PAGES = [path for place in PLACES for path in sorted(ROOT.glob(place))]
CONTENTS = [ROOT / name for name in ("conf/README.md", "data/README.md", "exports/README.md", "exports/benchmarks.md")]


def anchors(path):
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles(path, "#+")}


def titles(path, level="##"):
    return re.findall(rf"^{level} (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_titles(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: no such title"


@pytest.mark.parametrize("page", CONTENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_contents_list_every_title(page):
    listed = re.findall(r"^- \[(.+)\]\(#[\w-]+\)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert listed == [title.replace("`", "") for title in titles(page)]


def test_the_front_door_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert len(text.split()) <= 1500


def test_the_page_of_keys_is_what_the_configs_say():
    text = PAGE.read_text(encoding="utf-8")
    assert renew(text) == text, "make it anew: python -m tests.conf_page"
