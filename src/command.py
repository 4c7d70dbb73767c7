"""How every command starts and ends: Hydra composes the config, exit codes and one-line errors are Graft's own."""

from __future__ import annotations

import copy
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NoReturn

import hydra
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict
from omegaconf.errors import (
    GrammarParseError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from .checks import require_settings
from .errors import LinesError
from .flags import MULTIRUN, asks_help, find_settings, is_plain, require_flags
from .mistyped import mistyped, require_known, require_read, require_written
from .overrides import first_value, literal
from .package import CONF, NAME, install_line
from .remarks import ignore_remarks
from .targets import register_resolver
from .usage import page

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
DONE, PROMISE_FAILED, WRONG_INPUT = 0, 1, 2


class PromiseError(Exception):
    """A gate or a promise failed: the command ends with exit code 1 and this one line."""


def run(verb: str, sweeps: bool = False, needs: str | None = None) -> NoReturn:
    """Run a command on the composed config of `conf/<verb>.yaml` and end the process with Graft's exit codes.

    The config is composed and checked before the command's module, and torch with it, is imported: wrong input is told
    at once. Call it where that module is run, above its imports.

    0 is done, 1 a failed gate or promise, 2 wrong input (one line on stderr, or those of a `LinesError`). Anything else
    is a defect of Graft and keeps its traceback. `GRAFT_DEBUG=1` shows every traceback.

    Args:
        verb: Name of the command, of its module and of its config.
        sweeps: Whether it can go over several values of a setting, as a multirun.
        needs: A library of the extra `train` without which it does nothing: told before settings that are wrong.
    """
    debug, body = _prepare(), _Body(verb, needs)
    words = sys.argv[1:]
    try:
        if asks_help(words):
            print(page(verb, list(map(first_value, find_settings(words)))))
            sys.exit(DONE)
        require_flags(words, verb, sweeps)
        plain = is_plain(words)
        (require_written if plain else require_known)(verb, words)
        if not (plain and _run_once(verb, words, body.run)):
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=verb)(body.run)()
        if body.failure is not None:
            raise body.failure
        in_vain = sweeps and body.returned and all(each is None for each in body.returned)  # of a multirun every run
        sys.exit(PROMISE_FAILED if in_vain else DONE)
    except KeyboardInterrupt:
        sys.exit(130)
    except PromiseError as error:
        _end(error, PROMISE_FAILED, debug)
    except (ValueError, OSError, HydraException, OmegaConfBaseException) as error:
        _end(mistyped(error, verb, sweeps) or error, WRONG_INPUT, debug)


def _prepare() -> bool:
    """Bring the command line and the process into the form that Hydra needs; return whether tracebacks are shown."""
    multirun = any(word in sys.argv for word in MULTIRUN)
    words = sorted(sys.argv[1:], key=lambda word: word not in MULTIRUN)  # Hydra refuses -m behind an override
    sys.argv[1:] = [literal(word, multirun) for word in words]
    _hold_closed()
    register_resolver()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints the traceback itself and exits with 1
    return os.environ.get("GRAFT_DEBUG") == "1"


class _Body:
    """The command's own part, which Hydra calls with the composed config, once for each run of a multirun.

    Attributes:
        returned: What each call returned.
        failure: The first error, kept until Hydra has ended, which would write a line of its own about it.
    """

    def __init__(self, verb: str, needs: str | None) -> None:
        self._verb, self._needs = verb, needs
        self.returned: list[object] = []
        self.failure: Exception | None = None

    def run(self, composed: DictConfig) -> object:
        """Check the settings, then import the command and call it."""
        if self._needs is not None and find_spec(self._needs) is None:
            _end_without(self._needs, "train")
        try:
            if HydraConfig.get().mode != RunMode.MULTIRUN:  # there a run that fails is a row of the table
                require_settings(self._verb, composed)
            command = import_module(f"{NAME}.{self._verb}")
            logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
            ignore_remarks()  # now that the libraries have set what they log
            self.returned.append(command.main(composed))
            return self.returned[-1]
        except Exception as error:
            self.failure = self.failure or error
            return None


def _run_once(verb: str, words: Sequence[str], body: Callable[[DictConfig], object]) -> bool:
    """Compose and call `body` as Hydra does for one run, which composes twice: once only to learn that it is one.

    Returns:
        Whether it is one; a config may ask for several.
    """
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose(verb, list(words), return_hydra_config=True)
        if composed.hydra.mode == RunMode.MULTIRUN:
            return False
        own = copy.deepcopy(composed)
        with open_dict(own):
            del own["hydra"]
        require_read(verb, own)
        HydraConfig.instance().set_config(composed)
        body(own)
    return True


@contextmanager
def requires(extra: str) -> Iterator[None]:
    """Turn a failed import inside the block into the one line that installs the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == NAME:
            raise
        _end_without(error.name, extra)


def versions() -> dict[str, str]:
    """Return the version of Graft and of each library that shapes its results, where installed."""
    found = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _hold_closed() -> None:
    """Let the standard streams that were closed (`>&-`) lead nowhere: files opened later would take their numbers.

    `sys.stdout` stays None, for a command to know.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number
    if sys.stderr is None:  # what is printed to None goes to stdout
        sys.stderr = open(os.devnull, "w", encoding="utf-8")


def _end_without(library: str | None, extra: str) -> NoReturn:
    print(f"error: {library} is not installed: {install_line(extra)}", file=sys.stderr)
    sys.exit(WRONG_INPUT)


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
    if isinstance(error, (GrammarParseError, InterpolationResolutionError)):
        return (
            f"{error.full_key}: {str(error).partition(chr(10))[0]}; ${{...}} stands for another setting, in a path "
            "too: correct it, or rename what has it in its name"
        )
    return " ".join(str(error).split()) or type(error).__name__


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, HydraException) and error.__cause__ is not None:
        if "To append to your config" in str(error):  # a key that is not there: the cause says less
            break
        error = error.__cause__
    return error
