from rich.console import Console

from src.benchmarks.suite import Column, Suite
from src.benchmarks.table import count, errors, markdown, ratio, terminal

SUITE = Suite(lambda options: [], (Column("speed", "time / full", ratio), Column("size", "bytes", count)), ("a note",))
ROWS = [
    {"model": "a|b", "method": "graft", "precision": "fp32", "speed": 0.256, "size": 1234567},
    {"model": "a|b", "method": "peft", "precision": "fp32", "error": "cannot"},
]


def test_markdown_holds_every_row_error_and_note():
    page = markdown("step", SUITE, {"cores": 2}, ROWS).splitlines()
    assert "cores 2" in page
    assert "| a\\|b | graft | fp32 | 0.26 | 1,234,567 |" in page
    assert "| a\\|b | peft | fp32 | \N{EN DASH} | \N{EN DASH} |" in page
    assert page[-2:] == ["- a|b, peft, fp32: cannot", "- a note"]


def test_the_terminals_table_fits_a_hundred_columns(capsys):
    Console(width=100).print(terminal(SUITE, ROWS))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100 and any("1,234,567" in line for line in lines)
    assert errors(SUITE, ROWS) == ["a|b, peft, fp32: cannot"]


def test_a_label_that_all_rows_share_stands_once(capsys):
    Console(width=100).print(terminal(SUITE, [*ROWS, {**ROWS[0], "precision": "bf16"}]))
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].strip() == "model a|b" and shown.count("a|b") == 1 and "bf16" in shown


def test_the_lines_of_a_summary_stand_between_errors_and_notes():
    page = markdown("step", SUITE, {}, ROWS, ["a verdict"]).splitlines()
    assert page[-3:] == ["- a|b, peft, fp32: cannot", "- a verdict", "- a note"]
