"""How every command starts and ends: Hydra composes the config, exit codes and one-line errors are Graft's own."""

from __future__ import annotations

import functools
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

import hydra
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from src.errors import LinesError
from src.mistyped import mistyped

_LIBRARIES = (
    "graft-vision",
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "torchmetrics",
    "onnx",
    "onnxruntime",
    "pillow",
)
_WORDS = ("true", "false", "null", "nan", "inf")  # which Hydra reads as something other than text
_TALKATIVE = ("lightning.pytorch", "lightning.fabric", "timm")
DATA_PATHS = tuple(f"data.{key}" for key in ("root", "table", "path", "files_dir", "cache_dir", "split_file"))
DONE, PROMISE_FAILED, WRONG_INPUT = 0, 1, 2


class PromiseError(Exception):
    """A gate or a promise failed: the command ends with exit code 1 and this one line."""


def run(main: Callable[[DictConfig], object], config: str, paths: tuple[str, ...] = ()) -> list[object]:
    """Run `main` on the composed config of `conf/<config>.yaml` and end the process with Graft's exit codes.

    0 is done, 1 a failed gate or promise, 2 wrong input (one line on stderr, or those of a `LinesError`). Anything else
    is a defect of Graft and keeps its traceback. `GRAFT_DEBUG=1` shows every traceback.

    Args:
        main: The command's body.
        config: Name of its config.
        paths: Keys whose overrides hold a path, which may have characters that Hydra's grammar refuses (`=`, `é`).

    Returns:
        What `main` returned: once, or once for each run of a multirun.
    """
    sys.argv[1:] = [_literal(argument, paths) for argument in sys.argv[1:]]
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)
    debug = os.environ.get("GRAFT_DEBUG") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints the traceback itself and exits with 1
    failures: list[Exception] = []
    returned: list[object] = []

    @functools.wraps(main)
    def body(composed: DictConfig) -> object:
        try:
            returned.append(main(composed))
            return returned[-1]
        except Exception as error:  # kept until Hydra has ended, which would write a line of its own about it
            failures.append(error)
            return None

    try:
        hydra.main(version_base="1.3", config_path="../conf", config_name=config)(body)()
        if failures:
            raise failures[0]
        return returned
    except KeyboardInterrupt:
        sys.exit(130)
    except PromiseError as error:
        _end(error, PROMISE_FAILED, debug)
    except (ValueError, OSError, HydraException, OmegaConfBaseException) as error:
        _end(mistyped(error, config) or error, WRONG_INPUT, debug)


@contextmanager
def requires(extra: str) -> Iterator[None]:
    """Turn a failed import inside the block into the one line that installs the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "src":
            raise
        print(f'error: {error.name} is not installed: pip install -e ".[{extra}]"', file=sys.stderr)
        sys.exit(WRONG_INPUT)


def versions() -> dict[str, str]:
    """Return the version of Graft and of each library that shapes its results, where installed."""
    found = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _literal(argument: str, paths: tuple[str, ...]) -> str:
    """Quote the value of a path's override for Hydra, unless the user quoted it or it is null."""
    key, _, value = argument.partition("=")
    if key not in paths or value in ("", "null") or value[0] in "'\"":
        return argument
    return f"{key}={_quoted(value)}"


def _quoted(value: str) -> str:
    escaped = re.sub(r"(\\+)(?='|\Z)", r"\1\1", value).replace("'", r"\'")
    return f"'{escaped}'"


def as_typed(override: str) -> str:
    """Return an override as the user typed it, without the quotes that `run` put around a path."""
    key, _, value = override.partition("=")
    quoted = len(value) > 1 and value[0] == value[-1] == "'"
    return f"{key}={value[1:-1]}" if quoted else override


def command_line(verb: str, config: DictConfig, paths: tuple[str, ...], unseen: tuple[str, ...]) -> str:
    """Return the short command line of `verb` that composes the data and the backbone of `config`, ready to paste.

    Call it while Hydra runs, which composes what the verb would take without overrides.

    Args:
        verb: Name of the command and of its config.
        config: What another command composed, or read from a run.
        paths: Keys whose overrides hold a path, as in `run`.
        unseen: Keys of both groups that the verb makes no use of.
    """
    words = ["python", "-m", f"src.{verb}"]
    for group in ("data", "backbone"):
        wanted = _contents(config, group, unseen)
        ways = [
            [*choice, *_differences(group, wanted, _contents(compose(verb, choice), group, unseen), paths)]
            for choice in ([], *([f"{group}={name}"] for name in _options(group)))
        ]
        shortest: list[str] = min(ways, key=len)
        words += shortest
    return shlex.join(words)


def _options(group: str) -> list[str]:
    names = GlobalHydra.instance().config_loader().get_group_options(group)
    return [name for name in names if not name.startswith("_")]


def _contents(config: DictConfig, group: str, unseen: tuple[str, ...]) -> dict[str, Any]:
    content = OmegaConf.to_container(config[group], resolve=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items() if key not in unseen}


def _differences(place: str, wanted: dict[str, Any], default: dict[str, Any], paths: tuple[str, ...]) -> Iterator[str]:
    """Yield the overrides that make `wanted` of `default`."""
    for name in {**default, **wanted}:
        key, old, new = f"{place}.{name}", default.get(name), wanted.get(name)
        if name not in wanted:
            yield f"~{key}"
        elif name not in default:
            yield f"+{key}={_written(new)}"
        elif isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(key, new, old, paths)
        elif old != new:
            raw = key in paths and isinstance(new, str) and new not in ("", "null") and new[0] not in "'\""
            yield f"{key}={new if raw else _written(new)}"


def _written(value: Any) -> str:
    """Return a value in Hydra's grammar."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value.lower() not in _WORDS
        return value if plain else _quoted(value)
    return "null" if value is None else str(value).lower()


def _end(error: BaseException, code: int, debug: bool) -> NoReturn:
    if debug:
        raise error
    cause = _innermost(error)
    print(f"error: {cause if isinstance(cause, LinesError) else one_line(error)}", file=sys.stderr)
    sys.exit(code)


def one_line(error: BaseException) -> str:
    """Return the message that says most about `error`, on one line.

    Hydra wraps the error of a constructor in its own; the innermost one is what the user can act on.
    """
    error = _innermost(error)
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is not given: add {error.full_key}=VALUE"
    return " ".join(str(error).split()) or type(error).__name__


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, HydraException) and error.__cause__ is not None:
        if "To append to your config" in str(error):  # a key that is not there: the cause says less
            break
        error = error.__cause__
    return error
