import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from sklearn import metrics as reference

from src.metrics import compute, intervals, outcomes
from src.report import formats
from src.report.page import class_rows, write_report
from src.report.results import measure

from .fakes import COSTS, HISTORY, about, grades, labels, predictions, values, write_images

HOSTILE = ("<img src=x onerror=alert(1)>", "\"'&</td></style>", "fine")


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def rows(tmp_path):
    return predictions(images=90, splits=("val", "test", "test"), paths=write_images(tmp_path / "images", 90))


def report(folder, rows, positive="bad", costs=COSTS, history=HISTORY, **said):
    """Write the page of a run into a new folder, and return its source."""
    folder.mkdir(exist_ok=True)
    told = about(rows.classes, positive, kind=rows.kind, **{"config": "lora:\n  rank: 8\n", **said})
    path = write_report(folder, told, rows, {**measure(rows, positive), **costs}, history)
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


def test_the_page_says_the_figures_of_the_test_split(rows, tmp_path):
    test, text = rows.of("test"), Page(report(tmp_path, rows)).text
    counts, ends = outcomes(test, "bad"), intervals(test, "bad")
    assert f"{counts.missed} of {counts.missed + counts.found} bad images were let pass" in text
    assert f"{counts.alarms} of {counts.alarms + counts.passed} other images were called bad" in text
    for name, value in compute(test, "bad").items():
        if name != "loss":
            assert f"{formats.metric(name, value)} {formats.interval(name, ends[name])}" in text
    for said in ("412,386 of 3,784,226 (10.9 %)", "1.6 MB", "31.8 s", "12 min 44 s", "3, stopped early, kept number 1"):
        assert said in text
    for said in ("blocks.0.conv", "4,321", "CC BY-NC-SA 4.0", "lora: rank: 8", "torch 2.14.1", "sha256:0123", "1,234"):
        assert said in text


def test_the_page_needs_nothing_outside_itself(rows, tmp_path):
    source = report(tmp_path / "run", rows)
    page = Page(source)
    assert not {"script", "link", "iframe", "base"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/")), (tag, attributes)
    assert set(re.findall(r"https?://[^\"' ]+", source)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert len(source) < 2_000_000
    assert [tag for tag, _ in page.tags].count("img") > 3
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["report.html"]


def test_the_same_run_gives_the_same_page(rows, tmp_path):
    assert report(tmp_path, rows) == report(tmp_path, rows)


def test_the_page_says_what_was_computed_and_computes_nothing_again(rows, tmp_path):
    metrics = measure(rows, "bad")
    metrics["test"]["accuracy"], metrics["intervals"]["test"]["accuracy"] = 0.123, (0.121, 0.125)
    write_report(tmp_path, about(), rows, metrics)
    assert "12.3 % 12.1 to 12.5 %" in Page((tmp_path / "report.html").read_text()).text


def test_hostile_names_are_shown_never_obeyed(tmp_path):
    paths = [f"<b onclick='x'>{number}\"&.png" for number in range(60)]
    said = {"experiment": "<u>x</u>", "method": ("<s>m</s>",), "left_out": ("<i>gone</i>",), "command": "a && b <c>"}
    said["config"] = "</pre><script>alert(2)</script>"
    page = Page(report(tmp_path, predictions(HOSTILE, 60, paths=paths), None, **said))
    assert not {"script", "u", "s"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    for text in (*HOSTILE, "<u>x</u>", "<s>m</s>", "<i>gone</i>", "a && b <c>", "</pre><script>alert(2)</script>"):
        assert text in page.text
    assert any(path in page.text for path in paths)


def test_what_views_cost_on_the_camera_is_said_where_there_are_some(tmp_path):
    rows = predictions(images=40)
    text = Page(report(tmp_path, rows, views=("identity", "both"))).text
    assert "identity, both: 2 forward passes a picture" in text and "adapter=RUN 'views=[identity]' ships one" in text
    assert "forward pass" not in Page(report(tmp_path, rows)).text


def test_a_lost_image_is_said_in_its_tile(tmp_path):
    rows = predictions(images=60, paths=[str(tmp_path / f"gone {number}.png") for number in range(60)])
    page = Page(report(tmp_path, rows))
    assert "image cannot be opened" in page.text
    assert "img" not in {tag for tag, _ in page.tags}


def test_a_path_that_is_no_utf8_does_not_stop_the_page(tmp_path):
    rows = predictions(images=40, paths=[f"caf\udce9 {number}.png" for number in range(40)])
    assert "caf?" in report(tmp_path, rows)


def test_without_a_test_split_validation_is_the_headline(tmp_path):
    text = Page(report(tmp_path, predictions(images=40, splits=("train", "val")))).text
    assert "validation split, 20 images" in text


def test_without_history_and_costs_nothing_is_said_of_them(tmp_path):
    text = Page(report(tmp_path, predictions(images=40), costs={}, history=(), layers=())).text
    assert "Training Loss" not in text and "Trained parameters" not in text and "Adapted layers" not in text


def test_a_split_of_one_class_and_no_mistakes_still_has_a_page(tmp_path):
    rows = predictions(images=300)
    right = [row for row in range(300) if rows.targets[row] == rows.predicted[row] == "good"]
    text = Page(report(tmp_path, rows.take(right))).text
    assert "every image is good" in text and "was decided right" in text
    assert "False-alarm rate" not in text


def test_class_rows_are_those_of_scikit_learn():
    part = predictions(("a", "b", "c"), 200, seed=2)
    expected = reference.precision_recall_fscore_support(part.target_indices, part.predicted_indices)
    rows = class_rows(part)
    for place, name in enumerate(("precision", "recall", "f1", "support")):
        assert [getattr(row, name) for row in rows] == pytest.approx(list(expected[place]))


def test_a_class_that_never_occurs_has_no_figures():
    part = predictions(("a", "b"), 20)
    three = part.probabilities @ [[1, 0, 0], [0, 1, 0]]
    empty = replace(part, probabilities=three, classes=("a", "b", "c"))
    row = class_rows(empty)[2]
    assert (row.support, row.precision, row.recall, row.f1) == (0, None, None, None)


def test_a_run_without_val_and_test_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no val or test images"):
        report(tmp_path, predictions(images=10, splits=("train",)))
    assert not (tmp_path / "report.html").exists()


def test_the_title_is_escaped_once(tmp_path):
    source = report(tmp_path, predictions(images=20), data="R&D <1>")
    assert html.unescape(source.split("<title>")[1].split("</title>")[0]).endswith("on R&D <1>")


def test_the_page_of_grades_labels_and_values_says_what_they_are(tmp_path):
    for rows, said, missing in (
        (grades(), ("3 grades", "Quadratic kappa", "Farthest misses", "Confusion matrix"), "Exact match"),
        (labels(), ("3 labels, any number", "Exact match", "Average precision", "ROC", "rust"), "Confusion matrix"),
        (values(), ("a number", "Mean absolute error", "Largest errors", "Decided over true values"), "Precision"),
    ):
        counts = {"train": {"4 to 9": 7, "9 to 20": 8}} if rows.kind == "regression" else None
        more = {"counts": counts} if counts else {}
        text = Page(report(tmp_path, rows, None, **more)).text
        for words in said:
            assert words in text, (rows.kind, words)
        assert missing not in text, (rows.kind, missing)


def test_class_rows_of_labels_are_scikit_learns():
    rows = labels(images=200)
    expected = reference.precision_recall_fscore_support(rows.target_matrix, rows.predicted_matrix)
    for place, row in enumerate(class_rows(rows)):
        found = (row.precision, row.recall, row.f1, row.support)
        assert found == pytest.approx([column[place] for column in expected])
