"""A word with a dash is one of Hydra's flags, or the user is told what to write."""

import pytest
from hydra._internal.utils import get_args_parser

from src.flags import require_flags


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "x", "model=m"], "there is no flag --input: a setting has no dashes, write input=x"),
        (["--data.root=a b"], "write 'data.root=a b'"),
        (["--input", "--model"], "write input=VALUE"),
        (["--input", "model=m"], "write input=VALUE"),
        (["-n"], "there is no flag -n: a setting has no dashes, write n=VALUE"),
        (["--multirum"], "did you mean --multirun?"),
    ],
)
def test_an_unknown_flag_is_told_how_it_is_written(words, message):
    with pytest.raises(ValueError) as raised:
        require_flags(words, "predict", sweeps=True)
    assert message in str(raised.value)


def test_the_flags_of_hydra_are_taken():
    for action in get_args_parser()._actions:
        for flag in action.option_strings:
            require_flags([flag, "-x"] if action.nargs is None else [flag], "train", sweeps=True)


@pytest.mark.parametrize("asked", ["-m", "--multirun", "hydra.mode=MULTIRUN"])
def test_a_command_without_a_sweep_refuses_one(asked):
    require_flags(["a=1,2", asked], "train", sweeps=True)
    with pytest.raises(ValueError, match=f"evaluate goes over one value of each setting: leave out {asked}"):
        require_flags(["a=1,2", asked], "evaluate", sweeps=False)
