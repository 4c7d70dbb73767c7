"""What `--help` prints. Nothing is written twice: it is read from the comments of the YAML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .package import CONF, command_words


@dataclass(frozen=True)
class Head:
    """The comment at the head of a command's YAML.

    Attributes:
        purpose: What the command is for, a sentence.
        examples: Settings that show its use.
        keys: The keys of groups that matter most.
        more: Where the rest is said.
    """

    purpose: str
    examples: tuple[str, ...]
    keys: tuple[str, ...]
    more: str


def read_head(verb: str) -> Head:
    """Read the head of `conf/<verb>.yaml`."""
    parts: dict[str, list[str]] = {}
    part = "Purpose"
    for line in (CONF / f"{verb}.yaml").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").strip()
        if titled := re.match(r"(Examples|Keys|More):(.*)", text):
            part, text = titled[1], titled[2].strip()
        parts.setdefault(part, []).append(text)
    purpose, examples, keys, more = (
        list(filter(None, parts.get(name, []))) for name in ("Purpose", "Examples", "Keys", "More")
    )
    return Head(" ".join(purpose), tuple(examples), tuple(" ".join(keys).split()), " ".join(more))


def overview(verbs: Sequence[str]) -> str:
    """Return the list of commands, a line each."""
    width = max(map(len, verbs))
    lines = [f"  {verb:<{width}}  {read_head(verb).purpose}" for verb in verbs]
    title = "Graft: LoRA for vision backbones, shipped to the camera as one ONNX file."
    return "\n".join([title, "", *lines, "", f"{' '.join(command_words('COMMAND'))} --help says more of one."])
