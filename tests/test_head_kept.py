"""Where the head alone is kept, a training says that it ships without views."""

import logging
from types import SimpleNamespace

import pytest

from src import train
from src.tasks.base import START


@pytest.mark.parametrize(("asked", "told"), [(("identity",), False), (("identity", "horizontal"), True)])
def test_views_that_the_head_alone_does_not_ship_are_told(monkeypatch, caplog, asked, told):
    def fit(task, *_, **__):
        task.setting.task.views = ("identity",)
        return SimpleNamespace(best_epoch=START)

    for name in ("compose_callbacks", "compose_loggers"):
        monkeypatch.setattr(train, name, lambda *_: [])
    monkeypatch.setattr(train, "fit", fit)
    task = SimpleNamespace(setting=SimpleNamespace(task=SimpleNamespace(views=asked)))
    made = SimpleNamespace(config=SimpleNamespace(resume=None), folder=None, task=task, data=None)
    with caplog.at_level(logging.WARNING):
        train.fit_or_advise(made, None)
    assert "that head is kept" in caplog.text and ("without the other views" in caplog.text) == told
