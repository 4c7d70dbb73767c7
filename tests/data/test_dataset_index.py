import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

from src.data import DatasetIndex, Sample


def index(root: Path) -> DatasetIndex:
    samples = tuple(Sample(path, path.parent.name) for path in sorted(root.rglob("*.bin")))
    return DatasetIndex("parts", root, samples, ("a", "b"), "b")


def write(root: Path) -> Path:
    for name, content in {"a/1.bin": b"one", "a/2.bin": b"two", "b/1.bin": b"one"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_digests_are_the_sha256_of_the_contents(tmp_path):
    expected = [hashlib.sha256(content).hexdigest() for content in (b"one", b"two", b"one")]
    assert list(index(write(tmp_path)).digests) == expected


def test_an_unreadable_file_is_known_by_its_path_inside_the_root(tmp_path):
    whole = index(write(tmp_path))
    (tmp_path / "a/2.bin").unlink()
    assert whole.digests[1] == "a/2.bin"


def test_the_fingerprint_knows_neither_the_place_nor_the_order(tmp_path):
    first = index(write(tmp_path / "here"))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    second = index(tmp_path / "there")
    turned = replace(second, samples=second.samples[::-1])
    assert first.fingerprint == second.fingerprint == turned.fingerprint


def test_the_fingerprint_changes_with_content_label_split_and_name(tmp_path):
    whole = index(write(tmp_path))
    first, *rest = whole.samples
    changed = [
        replace(whole, samples=(replace(first, label="b"), *rest)),
        replace(whole, samples=(replace(first, split="test"), *rest)),
        replace(whole, samples=tuple(rest)),
    ]
    seen = {whole.fingerprint} | {other.fingerprint for other in changed}
    (tmp_path / "a/1.bin").write_bytes(b"eno")
    seen.add(index(tmp_path).fingerprint)
    (tmp_path / "a/1.bin").rename(tmp_path / "a/3.bin")
    seen.add(index(tmp_path).fingerprint)
    assert len(seen) == 6
