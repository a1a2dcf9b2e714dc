"""Options that are passed on: type checkers and the command line see those of the base."""

import ast
import inspect
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from framework.data import TokenData
from framework.data import module as data
from framework.data.module import PredictiveData
from framework.modules import LanguageModel, PredictiveModule

DECLARED = {
    "ModuleOptions": (PredictiveModule, "framework/modules/options.py"),
    "DataOptions": (PredictiveData, "framework/data/module.py"),
}
ROOT = Path(data.__file__).parents[2]


@pytest.mark.parametrize("name", DECLARED)
def test_type_checkers_see_the_options_of_the_base(name):
    base, path = DECLARED[name]
    tree = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    [declared] = [x for x in tree if isinstance(x, ast.ClassDef) and x.name == name]
    found = {x.target.id: ast.unparse(x.annotation) for x in declared.body[1:]}
    options = inspect.signature(base).parameters
    assert found == {name: option.annotation for name, option in options.items()}


@pytest.mark.parametrize(
    ("kind", "base"), [(LanguageModel, PredictiveModule), (TokenData, PredictiveData)]
)
def test_the_command_line_sees_the_defaults_of_the_base(kind, base):
    parser = ArgumentParser()
    parser.add_class_arguments(kind, "given", fail_untyped=False)
    seen = vars(parser.get_defaults().given)
    defaults = {name: x.default for name, x in inspect.signature(base).parameters.items()}
    plain = {name: x for name, x in defaults.items() if isinstance(x, bool | int | None)}
    assert len(plain) >= 2
    assert {name: seen[name] for name in plain} == plain
