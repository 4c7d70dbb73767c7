"""Where the head alone is kept, a training says under which views it was compared."""

import logging
from types import SimpleNamespace

import pytest

from src import train
from src.tasks.base import START


@pytest.mark.parametrize(("views", "told"), [(("identity",), False), (("identity", "horizontal"), True)])
def test_views_under_which_the_head_was_not_compared_are_told(monkeypatch, caplog, views, told):
    for name in ("compose_callbacks", "compose_loggers"):
        monkeypatch.setattr(train, name, lambda *_: [])
    monkeypatch.setattr(train, "fit", lambda *_, **__: SimpleNamespace(best_epoch=START))
    task = SimpleNamespace(setting=SimpleNamespace(task=SimpleNamespace(views=views)))
    made = SimpleNamespace(config=SimpleNamespace(resume=None), folder=None, task=task, data=None)
    with caplog.at_level(logging.WARNING):
        train.fit_or_advise(made, None)
    assert "that head is kept" in caplog.text and ("evaluate views=[identity]" in caplog.text) == told
