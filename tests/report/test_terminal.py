import io
from pathlib import Path

from rich.console import Console

from src.report.results import measure
from src.report.terminal import summary

from .fakes import about, predictions

RUN = Path("exports/defects/2026-02-11_14-03-22")
COSTS = {"trainable_parameters": 412386, "total_parameters": 3784226, "adapter_bytes": 1649544, "train_seconds": 764.2}


def printed(metrics, commands=(), views=("identity",), **console):
    file = io.StringIO()
    summary(Console(file=file, width=100, **console), RUN, metrics, about(data="ELPV [b]x[/b]", views=views), commands)
    return file.getvalue()


def test_the_table_says_the_figures_with_their_intervals():
    metrics = measure(predictions(images=120, splits=("val", "test")), "bad") | COSTS
    text = printed(metrics)
    low, high = metrics["intervals"]["test"]["auroc"]
    for said in (
        f"{metrics['test']['auroc']:.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{100 * metrics['val']['accuracy']:.1f} %",
    ):
        assert said in text
    for said in ("412,386 of 3,784,226 parameters", "1.6 MB", "12 min 44 s", str(RUN), "ELPV [b]x[/b]"):
        assert said in text
    assert max(map(len, text.splitlines())) <= 100


def test_next_commands_can_be_pasted_whole():
    commands = [
        f"python -m src.evaluate adapter={RUN} 'data.root=/a [bold]folder[/bold]/{'long/' * 30}'",
        f"python -m src.export adapter={RUN} precision=int8",
    ]
    metrics = measure(predictions(images=30), "bad")
    assert printed(metrics, commands).splitlines()[-2:] == commands
    assert printed(metrics, commands, force_terminal=True, color_system="truecolor").splitlines()[-2:] == commands


def test_what_views_cost_on_the_camera_is_said():
    text = printed({"test": {"accuracy": 0.5}}, views=("identity", "vertical"))
    assert "2 forward passes a picture; export 'views=[identity]' ships one" in text
    assert "forward passes" not in printed({"test": {"accuracy": 0.5}})


def test_what_is_missing_is_left_out():
    text = printed({"test": {"accuracy": 0.5, "auroc": None}})
    assert "50.0 %" in text and "\N{EN DASH}" in text
    assert "validation" not in text and "adapter" not in text and "time" not in text
