"""What is wrong with a command's settings by themselves: told before anything is imported that would use them."""

from __future__ import annotations

import glob
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from .absent import (
    NO_HUB_SET,
    NO_SOURCE,
    NO_TABLE,
    no_bundle,
    no_class_folders,
    no_key,
    no_pictures,
    no_run,
    no_table,
    no_table_root,
    no_trained_file,
    no_weights,
)
from .choices import parse_step_precision, parse_views, require_epochs, require_precision, require_profile
from .errors import LinesError
from .package import COMMON, HERE
from .source import find
from .targets import common_target
from .typed import require_types

CHOICES = ("auto", "none")  # of backbone.weights


def require_settings(verb: str, config: DictConfig) -> None:
    """Refuse settings of another type, of which one is missing, or that name a path which is not there.

    Args:
        verb: The command.
        config: Its composed config.

    Raises:
        ValueError: There is one; the message names the key.
    """
    require_types(config)
    if verb in CHECKS:
        CHECKS[verb](config)
    weights = OmegaConf.select(config, "backbone.weights", throw_on_missing=False)
    if weights not in (None, *CHOICES) and not Path(str(weights)).is_file():
        raise ValueError(no_weights(Path(str(weights))))


def _require_predict(config: DictConfig) -> None:
    """Refuse numbers that are none, and a bundle or pictures that are not there."""
    for key in ("batch_size", "threads"):
        _count(config, key)
    _count(config, "retries", 0)
    if config.max_images is not None:
        _count(config, "max_images")
    _flag(config, "watch")
    _seconds(config)
    model, source = str(config.model), str(config.input)
    if not Path(model).exists():
        raise ValueError(no_bundle(model))
    elsewhere = "://" in source or source.startswith("/dev/") or glob.has_magic(source) or not source.strip()
    if not (elsewhere or config.watch or Path(source).exists()):
        raise ValueError(no_pictures(source))
    _require_key(config, "verify", "public")


def _require_export(config: DictConfig) -> None:
    _require_one_way(config)
    require_precision(config.precision, _precisions())
    require_profile(config.profile)
    _require_key(config, "sign", "private")
    if not config.shared_base:
        return _require_trained(config)
    adapters = config.adapters
    for path in adapters.values() if OmegaConf.is_dict(adapters) else adapters:
        _require_file(str(path))
    _require_views(config)


def _require_trained(config: DictConfig) -> None:
    _require_file(str(config.adapter))
    _require_images(config)
    _require_views(config)


def _require_certify(config: DictConfig) -> None:
    """Refuse a bundle, images or a key that are not there."""
    if not Path(str(config.model)).exists():
        raise ValueError(no_bundle(str(config.model)))
    _require_images(config)
    _require_key(config, "sign", "private")


def _require_train(config: DictConfig) -> None:
    """Refuse a run to resume, or images, that are not there, or settings that no training can follow.

    Those of a run that is resumed are its own affair.
    """
    if config.resume is not None:
        if not (Path(str(config.resume)) / "config.yaml").is_file():
            raise ValueError(no_run(Path(str(config.resume))))
        return
    _require_place(config, "run_dir")
    trainer = config.trainer
    if common_target(str(trainer.get("_target_"))) == f"{COMMON}.tasks.TrainerOptions":
        require_epochs(trainer.get("max_epochs"), trainer.get("max_steps", -1))
        parse_step_precision(trainer.get("precision", "auto"))
    parse_views(config.views)
    _require_images(config)


def _require_audit(config: DictConfig) -> None:
    _require_place(config, "output")
    _require_images(config)


def _require_benchmark(config: DictConfig) -> None:
    _require_place(config, "output")


def _require_images(config: DictConfig) -> None:
    """Refuse a source of images that is not given, or not there; the own data of a run have no target."""
    target = common_target(str(config.data.get("_target_"))).removeprefix(f"{COMMON}.data.")
    root = config.data.get("root")
    folder = None if root is None else Path(str(root)).expanduser()
    if target == "FolderData":
        if folder is None or not str(root).strip():
            raise LinesError(NO_SOURCE)
        if not folder.is_dir():
            raise ValueError(no_class_folders(folder))
    elif target == "TableData":
        if config.data.get("table") is None:
            raise ValueError(NO_TABLE)
        table = Path(str(config.data.table)).expanduser()
        if not table.is_file():
            raise ValueError(no_table(table))
        if folder is not None and not folder.is_dir():
            raise ValueError(no_table_root(folder))
    elif target == "HuggingFaceData" and not str(config.data.get("path") or "").strip():
        raise ValueError(NO_HUB_SET)


def _require_file(path: str) -> None:
    if not Path(path).exists():
        raise ValueError(no_trained_file(path))


def _require_key(config: DictConfig, key: str, kind: str) -> None:
    """Refuse a key that is not there; it is not opened, as a pipe can be read once."""
    if config[key] is not None:
        try:
            Path(str(config[key])).stat()
        except OSError as error:
            raise ValueError(no_key(str(config[key]), kind, error)) from error


def _require_place(config: DictConfig, key: str) -> None:
    if config[key] is None:
        raise ValueError(f"{key}=null names no folder: give one, or leave {key} out")


def _require_views(config: DictConfig) -> None:
    if config.views is not None:  # those of the training
        parse_views(config.views)


def _precisions() -> list[str]:
    """Return the precisions of an export: the files of its folder that name one."""
    names = (path.stem for path in (HERE / "deploy" / "precisions").glob("*.py"))
    return [name for name in names if find(f"{COMMON}.deploy.precisions.{name}.PRECISION")]


def _require_one_way(config: DictConfig) -> None:
    """Refuse settings of the other way to export.

    Raises:
        ValueError: There are some, or `shared_base` is asked for in another precision.
    """
    for key in ("shared_base", "openvino"):
        if not isinstance(config[key], bool):
            raise ValueError(f"{key} must be true or false, not {config[key]}")
    one = not OmegaConf.is_missing(config, "adapter")
    if one and config.adapter is None:
        raise ValueError("adapter=null names no file: give an adapter file, its run folder, or exports/<name>/latest")
    if not config.shared_base and (config.adapters is not None or config.output is not None):
        raise ValueError("adapters= and output= are for several lines on one base: add shared_base=true")
    if config.shared_base and (one or not OmegaConf.is_config(config.adapters)):
        raise ValueError("shared_base=true takes adapters=[RUN,RUN] or adapters={line1: RUN, line2: RUN}, no adapter=")
    if config.shared_base and config.openvino:
        raise ValueError("a shared base takes adapters as onnxruntime does: leave out openvino=true")
    if config.shared_base and config.precision != "fp32":
        raise ValueError(f"a shared base is exact and fp32, not {config.precision}: export the lines one by one")


def _count(config: DictConfig, key: str, least: int = 1) -> None:
    value = config[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{key} must be a whole number above {least - 1}, not {value}")


def _flag(config: DictConfig, key: str) -> None:
    if not isinstance(config[key], bool):
        raise ValueError(f"{key} must be true or false, not {config[key]}")


def _seconds(config: DictConfig) -> None:
    value = config.idle
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise ValueError(f"idle must be a number of seconds above 0, or null, not {value}")


CHECKS: dict[str, Callable[[DictConfig], None]] = {
    "audit": _require_audit,
    "benchmark": _require_benchmark,
    "certify": _require_certify,
    "evaluate": _require_trained,
    "export": _require_export,
    "predict": _require_predict,
    "train": _require_train,
}
