"""Sign and verify a bundle: an Ed25519 signature of the manifest, which holds the hash of every other file."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..absent import no_key
from ..package import install_line
from .files import read_file

SIGNATURE = "manifest.sig"

Signer = Callable[[bytes], bytes]


def read_signer(path: str | Path) -> Signer:
    """Return a function that signs with a private key.

    Args:
        path: The key in PEM, without a password, as `openssl genpkey -algorithm ed25519` writes it.

    Raises:
        ValueError: There is no such key, or the library `cryptography` is not installed.
    """
    key = _key(path, "load_pem_private_key", "private", password=None)
    sign: Signer = key.sign
    return sign


def require_signature(content: bytes, bundle: Path, key: str | Path) -> None:
    """Refuse a manifest that the owner of `key` has not signed.

    Args:
        content: Bytes of the manifest.
        bundle: The folder that holds the signature.
        key: The public key in PEM.

    Raises:
        ValueError: It is not signed, by another key, or was changed; or as `read_signer` and `read_file`.
    """
    public = _key(key, "load_pem_public_key", "public")
    try:
        signature = read_file(bundle / SIGNATURE)
    except FileNotFoundError as error:
        raise ValueError(f"{bundle} is not signed, and verify={key} asks for it: export it with sign=KEY") from error
    try:
        public.verify(signature, content)
    except _library("exceptions").InvalidSignature as error:
        raise ValueError(f"{bundle} was not signed by the owner of {key}, or was changed since: keep it off") from error


def _key(path: str | Path, load: str, kind: str, **options: Any) -> Any:
    serialization = _library("hazmat.primitives.serialization")
    wanted = f"{path} is no {kind} Ed25519 key in PEM without a password"
    try:
        key = getattr(serialization, load)(Path(path).read_bytes(), **options)
    except OSError as error:
        raise ValueError(no_key(path, kind, error)) from error
    except Exception as error:  # ValueError, TypeError, and exceptions of the library
        raise ValueError(f"{wanted}: make a pair as exports/README.md says") from error
    if not isinstance(key, getattr(_library("hazmat.primitives.asymmetric.ed25519"), f"Ed25519{kind.title()}Key")):
        raise ValueError(f"{wanted}, but of another kind: make a pair as exports/README.md says")
    return key


def _library(part: str) -> Any:
    try:
        return importlib.import_module(f"cryptography.{part}")
    except ModuleNotFoundError as error:
        raise ValueError(f"signatures need the library cryptography: {install_line('sign')}") from error
