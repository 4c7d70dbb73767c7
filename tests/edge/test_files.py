import os
import socket
from pathlib import Path

import pytest

from src.edge import Runtime
from src.edge.files import read_file
from src.edge.golden import GOLDEN
from src.edge.manifest import MANIFEST, MODEL
from src.edge.signature import SIGNATURE
from tests.edge.test_runtime import write_bundle
from tests.edge.test_signature import keys, signed  # noqa: F401


def bind(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))  # an address may have 108 letters


PLACES = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a socket": bind,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("name", [MANIFEST, GOLDEN, SIGNATURE])
def test_what_is_no_file_in_the_place_of_one_is_named_and_never_waited_for(signed, keys, name, kind):  # noqa: F811
    (signed / name).unlink()
    PLACES[kind](signed / name)
    with pytest.raises(ValueError, match=rf"{name} cannot be read \(it is {kind}\): copy the bundle again"):
        Runtime(signed, verify=keys[1])


@pytest.mark.parametrize("kind", PLACES)
def test_a_bundle_whose_model_is_no_file_is_none(tmp_path, kind):
    bundle = write_bundle(tmp_path / "edge")
    (bundle / MODEL).unlink()
    PLACES[kind](bundle / MODEL)
    with pytest.raises(ValueError, match="no bundle at"):
        Runtime(bundle)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), r"\(Permission denied\): let this user read the bundle"),
        (OSError(5, "Input/output error"), r"\(Input/output error\): copy the bundle again"),
    ],
)
def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch, error, message):
    def fail(_):
        raise error

    (tmp_path / MODEL).touch()
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(ValueError, match=message):
        read_file(tmp_path / MODEL)
