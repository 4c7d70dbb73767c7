"""Bundles of a tiny model, as suite `edge` makes them."""

import pytest

from src.benchmarks.edge_files import write_bundles, write_photographs


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    return write_photographs(tmp_path_factory.mktemp("edge") / "pictures", 4)


@pytest.fixture(scope="session")
def bundles(photographs):
    return write_bundles("test_efficientnet", 64, photographs, photographs[0].parents[1])
