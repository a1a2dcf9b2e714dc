"""Recipes that are wrong in any way: they parse, or end in one sentence and status 2."""

import io
from contextlib import redirect_stderr
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import cli
from framework.console import recipes
from framework.console.command import Command

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

SHIPPED = sorted(path for path in recipes.recipes() if "overlays" not in path.parts)
WRONG = [
    None,
    True,
    -1,
    0,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "text",
    "many words here",
    "größe ☃ \u202e",
    "3",
    "null",
    "a.b.Class",
    "json.JSONDecoder",
    "FourierHead",
    "${nope}",
    "${..}",
    "${oc.env:NOT_SET}",
    "${nope:3}",
    "${",
    "no.yaml",
    ".",
    "/",
    [],
    {},
    [None],
    [[1], {"a": 2}],
    {"": 0},
    {1: 2},
    {"class_path": None},
    {"class_path": 3},
    {"class_path": ""},
    {"class_path": "Nothing"},
    {"class_path": "torch.nn.Linear"},
    {"class_path": "FourierHead", "init_args": None},
    {"class_path": "FourierHead", "init_args": [1]},
    {"class_path": "FourierHead", "init_args": {"": 3}},
    {"init_args": {}},
    {"init_args": {"dim": 3}},
    {"class_path": "FourierHead", "more": 3},
]
KEYS = ["", "class_path", "init_args", "x", "größe", "a.b", "a b", "__path__", "-", "=", "help", 3]
TEXTS = ["\t", "{", "}", "[", ": ", "- ", "&a ", "*a", "!!python/object:os.system ", "\0", "%"]
TEXTS += ["'", "\x85", "<<: 3\n", "? ", "---\n", "!tag ", "|\n", "\ud83d"]


class ParseOnly(Command):
    """Parses a command line, with the parser of the first one."""

    made: ClassVar[dict[str, Any]] = {}

    def setup_parser(self, *args: Any) -> None:
        if not self.made:
            super().setup_parser(*args)
            names = ("parser", "_subcommand_parsers", "_subcommand_method_arguments")
            self.made.update({name: getattr(self, name) for name in names})
        vars(self).update(self.made)

    def _add_instantiators(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def places(node, above=()):
    """Yields the keys to every value of a recipe."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from places(value, (*above, key))


def change(draw, tree):
    """Changes one value or key of a recipe."""
    *above, last = draw(st.sampled_from(list(places(tree))))
    owner = tree
    for key in above:
        owner = owner[key]
    kind = draw(st.sampled_from(["drop", "rename", "replace", "nest", "move", "typo"]))
    if kind == "drop":
        del owner[last]
    elif kind == "replace" or isinstance(owner, list):
        owner[last] = draw(st.sampled_from(WRONG))
    elif kind == "rename":
        owner[draw(st.sampled_from(KEYS))] = owner.pop(last)
    elif kind == "typo":
        owner[f"{last}"[:-1] + draw(st.sampled_from(["", "x", "é"]))] = owner.pop(last)
    elif kind == "nest":
        owner[last] = {draw(st.sampled_from([last, "class_path", "init_args"])): owner[last]}
    else:
        tree[last] = owner.pop(last)


@st.composite
def mutated(draw):
    """Draws the text of a shipped recipe in which something is wrong."""
    tree = yaml.safe_load(draw(st.sampled_from(SHIPPED)).read_text(encoding="utf-8"))
    for _ in range(draw(st.integers(1, 3))):
        if list(places(tree)):
            change(draw, tree)
    text = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)
    if draw(st.integers(0, 3)) == 0:
        lines = text.splitlines(keepends=True)
        number = draw(st.integers(0, len(lines) - 1))
        column = draw(st.integers(0, len(lines[number])))
        kind = draw(st.sampled_from(["insert", "duplicate", "cut", "indent"]))
        if kind == "insert":
            line = lines[number]
            lines[number] = line[:column] + draw(st.sampled_from(TEXTS)) + line[column:]
        elif kind == "duplicate":
            lines.insert(number, lines[number])
        elif kind == "cut":
            lines = [*lines[:number], lines[number][:column]]
        else:
            lines[number] = f" {lines[number]}"
        text = "".join(lines)
    return text.encode("utf-8", "surrogatepass")


def outcome(path, text):
    """Parses a recipe; returns the status and what was printed to stderr."""
    path.write_bytes(text)
    status, err = 0, io.StringIO()
    with redirect_stderr(err):
        try:
            cli.main(["fit", "--config", str(path)])
        except SystemExit as end:
            status = end.code
    return status, err.getvalue()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:LightningCLI's args parameter")
def test_a_wrong_recipe_ends_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("framework.console.command.Command", ParseOnly)

    @settings(
        max_examples=100,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated())
    def check(text):
        status, said = outcome(tmp_path / "my.yaml", text)
        event(f"status {status}")
        if status:
            assert status == 2
            assert said.count("\n") == 1, said
            assert said.startswith("lightning fit: error: ")

    check()
