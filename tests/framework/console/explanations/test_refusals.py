"""The line of a recipe at which the error of a constructor points."""

import pytest

from framework.console.errors import UserError
from framework.console.explanations import refusals

CONFIG = {
    "part": {
        "class_path": f"{__name__}.Part",
        "init_args": {"size": 3, "inner": [{"class_path": f"{__name__}.Inner", "init_args": {}}]},
    },
    "fixed": {"steps": 0},
}
RECIPE = f"""\
part:
  class_path: {__name__}.Part
  init_args:
    size: 3
    inner:
      - class_path: {__name__}.Inner
fixed:
  steps: 0
"""


class Part:
    def __init__(self, message):
        raise ValueError(message)


class Inner:
    def __init__(self, message):
        self.fail(message)

    def fail(self, message):
        raise ValueError(message)


class Read:
    def __init__(self):
        self.part = object.__new__(Inner)

    def read(self, message):
        self.part.fail(message)


class Fixed:
    def __init__(self, message):
        Inner(message)


class Unknown:
    def __init__(self, message):
        raise ValueError(message)


def said(tmp_path, monkeypatch, make, *words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(RECIPE)
    try:
        with refusals.placed(CONFIG, {"fixed": Fixed}, ["fit", "--config", "my.yaml", *words]):
            make()
    except (UserError, ValueError) as error:
        return str(error)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Part("size=3 is too small"), "my.yaml, line 4: size=3 is too small"),
        (lambda: Part("too small: 3"), "my.yaml, line 4: too small: 3"),
        (lambda: Part("a part is in pieces"), "my.yaml, line 2: a part is in pieces"),
        (lambda: Inner("no inside"), "my.yaml, line 6: no inside"),
        (lambda: Fixed("steps=0 is none"), "my.yaml, line 6: steps=0 is none"),
        (lambda: Read().read("the file is empty"), "the file is empty"),
        (lambda: Unknown("size=3 is too small"), "size=3 is too small"),
    ],
)
def test_names_the_line_of_what_was_built(make, expected, tmp_path, monkeypatch):
    assert said(tmp_path, monkeypatch, make) == expected


def test_names_no_line_for_a_flag(tmp_path, monkeypatch):
    words = ("--part.size", "3")
    assert said(tmp_path, monkeypatch, lambda: Part("size=3 is bad"), *words) == "size=3 is bad"


def test_keeps_the_error_as_the_cause(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(RECIPE)
    words = ["fit", "--config", "my.yaml"]
    with pytest.raises(UserError) as caught, refusals.placed(CONFIG, {}, words):
        Part("size=3 is bad")
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_bug_stays_one(tmp_path, monkeypatch):
    with pytest.raises(ZeroDivisionError), refusals.placed(CONFIG, {}, []):
        1 / 0  # noqa: B018
