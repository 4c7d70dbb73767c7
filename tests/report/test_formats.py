import pytest

from src.report import formats


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formats.metric("accuracy", 0.8842), "88.4 %"),
        (formats.metric("auroc", 0.8942), "0.894"),
        (formats.metric("auroc", None), "\N{EN DASH}"),
        (formats.interval("balanced_accuracy", (0.85, 0.9016)), "85.0 to 90.2 %"),
        (formats.interval("f1", (0.85, 0.9)), "0.850 to 0.900"),
        (formats.interval("f1", None), ""),
        (formats.count(1234567), "1,234,567"),
        (formats.size(999), "999 B"),
        (formats.size(1000), "1 kB"),
        (formats.size(412_386), "412 kB"),
        (formats.size(999_499), "999 kB"),
        (formats.size(999_500), "1.0 MB"),
        (formats.size(13_600_000_000), "13.6 GB"),
        (formats.duration(31.84), "31.8 s"),
        (formats.duration(59.96), "1 min 0 s"),
        (formats.duration(764.2), "12 min 44 s"),
        (formats.duration(3599.7), "1 h 0 min"),
        (formats.duration(7384), "2 h 3 min"),
    ],
)
def test_figures_are_written_for_people(written, expected):
    assert written == expected
