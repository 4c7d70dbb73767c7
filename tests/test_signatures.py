"""What sources of others look like, and what their constructors take: read as Python would take it."""

from textwrap import dedent

import pytest
from omegaconf import OmegaConf

from src.signatures import ANY, read_signature
from src.source import Module, _file, _modules, find
from src.targets import local_target
from src.typed import require_types

SOURCE = '''
    import enum, numbers
    from graft.data import FolderData
    from collections.abc import Hashable
    from dataclasses import KW_ONLY, InitVar, dataclass, field
    from typing import Annotated, Any, AnyStr, ClassVar, Literal, SupportsFloat, overload

    class Mode(enum.Enum):
        A = 1

    def documented(first, second):
        """Do it.

        Args:
                first: Deep
                    and long.
                second: As deep.
        """

    def choices(sign: Literal[-1, 0, 1], mode: Literal[Mode.A, "b"], text: "words for a reader"): ...

    def loose(number: numbers.Number, cost: SupportsFloat, text: AnyStr, key: Hashable): ...

    def annotated(**options: Annotated[Any, "what it takes"]): ...

    class Plain:
        hidden: int

    @dataclass
    class Parent(Plain):
        inherited: int = 1
        dropped: int = 1

    @dataclass
    class Child(Parent):
        made: int = field(init=False)
        dropped: int = field(init=False, default=2)
        shared: ClassVar[int] = 3
        _: KW_ONLY
        once: InitVar[int] = 0
        given: int = field(default=1)

    class Images(FolderData):
        pass

    class Overloaded:
        @overload
        def __init__(self, one: int): ...
        @overload
        def __init__(self, two: str): ...
        def __init__(self, one: int = 0, two: str = "", three: float = 0.0): ...
'''


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    (tmp_path / "of_others.py").write_text(dedent(SOURCE))
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name: read_signature(f"of_others.{name}")


def node(target, **values):
    return OmegaConf.create({"node": {"_target_": target, **values}})


def test_entries_may_be_indented_by_any_width(theirs):
    texts = {name: each.text for name, each in theirs("documented").parameters.items()}
    assert texts == {"first": "Deep and long.", "second": "As deep."}


def test_a_literal_keeps_every_part_and_what_is_none_takes_everything(theirs):
    kinds = {name: list(each.kinds()) for name, each in theirs("choices").parameters.items()}
    assert kinds == {
        "sign": [("literal", value) for value in (-1, 0, 1)],
        "mode": [ANY, ("literal", "b")],
        "text": [ANY],
    }
    require_types(node("of_others.choices", sign=-1, mode="A"))
    with pytest.raises(ValueError, match=r"node\.sign=2 is not -1, 0 or 1"):
        require_types(node("of_others.choices", sign=2))


def test_what_stands_for_plain_values_refuses_none(theirs):
    assert all(list(each.kinds()) == [ANY] for each in theirs("loose").parameters.values())


def test_only_unpack_names_the_keys(theirs):
    assert theirs("annotated").open


def test_fields_are_those_that_the_constructor_takes(theirs):
    assert sorted(theirs("Child").parameters) == ["given", "inherited", "once"]
    require_types(node("of_others.Child", once=3))


def test_the_last_constructor_of_a_class_is_its_own(theirs):
    assert sorted(theirs("Overloaded").parameters) == ["one", "three", "two"]
    assert read_signature("torch.nn.modules.rnn.LSTM").open


def test_a_subclass_of_ours_that_adds_nothing_takes_what_ours_takes(theirs):
    taken = theirs("Images")
    assert not taken.open and taken.parameters.keys() == read_signature("graft.data.FolderData").parameters.keys()


def test_a_users_own_module_may_have_the_place_of_ours(tmp_path, monkeypatch):
    package = tmp_path / "src"
    package.mkdir()
    (package / "data.py").write_text("from .mine import Other\n\nclass MyData:\n    pass\n")
    (package / "mine.py").write_text("class Other:\n    pass\n")
    monkeypatch.setattr("src.source._imported_module", as_user(package))
    monkeypatch.setattr("src.targets.NAME", "graft")  # as it is installed
    _modules.cache_clear()
    try:
        assert local_target("src.data.MyData") == "src.data.MyData"
        assert local_target("src.data.FolderData") == "graft.data.FolderData"
        assert find("src.data.MyData").module.path == package / "data.py"
        assert find("src.data.Other").module.path == package / "mine.py"
        assert find("src.data.Nothing") is None
    finally:
        _modules.cache_clear()


def as_user(package):
    """Find modules as Python does where the only package `src` is the user's."""

    def imported(root, rest):
        path = _file(package, rest) if root == "src" else None
        return Module(".".join([root, *rest]), path) if path else None

    return imported
