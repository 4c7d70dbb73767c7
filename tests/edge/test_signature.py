import importlib
import json
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from src.edge import Runtime, read_signer
from src.edge.manifest import MANIFEST
from src.edge.signature import SIGNATURE, require_signature
from tests.edge.test_runtime import sealed, write_bundle


def private(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def public(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def keys(tmp_path):
    """Return the private and the public key's file."""
    key = ed25519.Ed25519PrivateKey.generate()
    for name, content in (("key.pem", private(key)), ("key.pub", public(key))):
        (tmp_path / name).write_bytes(content)
    return tmp_path / "key.pem", tmp_path / "key.pub"


@pytest.fixture
def signed(tmp_path, keys):
    folder = write_bundle(tmp_path / "edge")
    (folder / SIGNATURE).write_bytes(read_signer(keys[0])((folder / MANIFEST).read_bytes()))
    return folder


def test_a_signed_bundle_serves_with_its_key_and_without_one(signed, keys):
    for verify in (keys[1], str(keys[1]), None):
        assert Runtime(signed, verify=verify).task.classes == ("red", "green", "blue")


def test_a_bundle_that_is_not_signed_is_refused_only_where_it_must_be(tmp_path, keys):
    folder = write_bundle(tmp_path / "edge")
    Runtime(folder)
    with pytest.raises(ValueError, match="is not signed, and verify="):
        Runtime(folder, verify=keys[1])


def test_a_changed_manifest_is_refused_even_with_its_own_hash_mended(signed, keys):
    sealed(signed, json.loads((signed / MANIFEST).read_text()) | {"precision": "int8"})
    Runtime(signed)  # without the signature, who can write the hash can write anything
    with pytest.raises(ValueError, match="or was changed since: keep it off"):
        Runtime(signed, verify=keys[1])


def test_another_key_or_signature_is_refused(signed, keys, tmp_path):
    (tmp_path / "other.pub").write_bytes(public(ed25519.Ed25519PrivateKey.generate()))
    with pytest.raises(ValueError, match=r"not signed by the owner of .*other\.pub"):
        Runtime(signed, verify=tmp_path / "other.pub")
    for forged in (b"", b"\0" * 64):
        (signed / SIGNATURE).write_bytes(forged)
        with pytest.raises(ValueError, match="was not signed by the owner"):
            Runtime(signed, verify=keys[1])


def test_keys_that_are_none_are_told(tmp_path, keys):
    key = ed25519.Ed25519PrivateKey.generate()
    wrong = {
        "encrypted": private(key, BestAvailableEncryption(b"secret")),
        "rsa": private(rsa.generate_private_key(65537, 2048)),
        "public": public(key),
        "text": b"hello",
        "empty": b"",
    }
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is no private Ed25519 key in PEM"):
            read_signer(tmp_path / name)
    with pytest.raises(ValueError, match="is no public Ed25519 key in PEM"):
        require_signature(b"", tmp_path, keys[0])
    for gone in (tmp_path / "gone", tmp_path):
        with pytest.raises(ValueError, match="cannot be read"):
            read_signer(gone)


def test_without_the_library_one_line_says_what_to_install(keys, monkeypatch):
    def gone(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(importlib, "import_module", gone)
    with pytest.raises(ValueError, match=r'pip install -e "\.\[sign\]"'):
        read_signer(keys[0])


def test_nothing_is_imported_for_bundles_that_need_no_signature():
    code = "import sys, src.edge; assert 'cryptography' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
