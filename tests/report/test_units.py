import pytest

from src.report import units


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (units.figure("accuracy", 0.8842), "88.4 %"),
        (units.figure("auroc", 0.8942), "0.894"),
        (units.figure("auroc", None), "\N{EN DASH}"),
        (units.interval("balanced_accuracy", (0.85, 0.9016)), "85.0 to 90.2 %"),
        (units.interval("f1", (0.85, 0.9)), "0.850 to 0.900"),
        (units.interval("f1", None), ""),
        (units.count(1234567), "1,234,567"),
        (units.size(999), "999 B"),
        (units.size(1000), "1 kB"),
        (units.size(412_386), "412 kB"),
        (units.size(999_499), "999 kB"),
        (units.size(999_500), "1.0 MB"),
        (units.size(13_600_000_000), "13.6 GB"),
        (units.duration(31.84), "31.8 s"),
        (units.duration(59.96), "1 min 0 s"),
        (units.duration(764.2), "12 min 44 s"),
        (units.duration(3599.7), "1 h 0 min"),
        (units.duration(7384), "2 h 3 min"),
    ],
)
def test_figures_are_written_for_people(written, expected):
    assert written == expected
