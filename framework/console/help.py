"""Help of training and evaluation: what is used most comes first, `--X.help` lists choices."""

from __future__ import annotations

import argparse
import copy
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from jsonargparse import ArgumentParser
from lightning.pytorch.cli import LightningArgumentParser

from framework.console import options
from framework.console.errors import UserError
from framework.console.explanations import suggestions
from framework.console.options import Option

ENDING = ".help"
MOST_USED = (
    "config",
    "data",
    "model",
    "model.head",
    "model.backbone",
    "model.optimizer",
    "model.schedule",
    "trainer.max_steps",
    "trainer.devices",
    "trainer.precision",
    "ckpt_path",
)
SENTENCES = {  # of options that have none of their own, or pages
    "config": "A recipe by name or path; a second one changes the first. `overtone recipes` lists "
    "the names.",
    "data": "Class that serves the data, its options behind it as in --data.batch_size 32.",
    "model": "Class of the task, its options behind it as in --model.head.bins 8.",
    "ckpt_path": "Checkpoint to resume or to evaluate: a path, `last` or `best`; --trust lets it, "
    "and the recipe beside it, import modules of your own.",
}
LONGEST = 110  # of a sentence in a list


class CommandParser(LightningArgumentParser):
    """Parses the options of a verb; its help begins with those that are used most.

    A verb that does something else with the options of training says so by `introduce`.
    """

    verb = ""  # in place of that of training
    own: tuple[str, ...] = ()  # the options that only it has

    def introduce(self, verb: str, sentence: str, own: Sequence[str]) -> None:
        """Lets the help speak of a verb, and begin with the options that only it has.

        Args:
            verb: Its name.
            sentence: What it does.
            own: Names of its options.
        """
        self.verb, self._sentence, self.own = verb, sentence, tuple(own)

    def format_help(self, *formatter: Any) -> str:
        """Returns the help, with the options that are used most in a section of their own."""
        if "trainer.max_steps" not in {action.dest for action in self._actions}:
            return str(super().format_help(*formatter))
        groups: Any = self._action_groups
        usage, description = self.usage, self.description
        first = list(_most_used(self))
        program = self.prog.replace(" [options]", "")
        if self.verb:
            self.description = self._sentence
            program = f"{program.rpartition(' ')[0]} {self.verb}"
        try:
            self.usage = f"{program} --config RECIPE [OPTIONS]"
            rest = [_without(group, first) for group in groups]
            self._action_groups = [_group(self, "Most used", first), *rest]
            return str(super().format_help(*formatter))
        finally:
            self._action_groups, self.usage, self.description = groups, usage, description


def listing(parser: ArgumentParser, words: Sequence[str]) -> str:
    """Returns a page for the first `--X.help` that the parser does not answer, or "".

    It lists the choices of X where no class follows, else the options of that class.

    Args:
        parser: The parser of the verb.
        words: Words of the command line, recipes by path.

    Raises:
        UserError: If that class does not exist.
    """
    for word, following in zip(words, [*words[1:], "-"], strict=True):
        name = word.removeprefix("--").removesuffix(ENDING)
        if word == f"--{name}{ENDING}":
            known = list(options.known(parser, words))
            return _page(name, "" if following.startswith("-") else following, known)
    return ""


def _page(name: str, chosen: str, known: Sequence[Option]) -> str:
    exact, hints = any(option.name == name for option in known), _hints(name, known)
    if chosen:
        made = next(filter(None, (options.class_of(hint, chosen) for hint in hints)), None)
        if hints and made is None and "." not in chosen:
            reason = suggestions.unknown_class(chosen, hints[0])
            raise UserError(f"--{name}{ENDING}: {reason}")
        return "" if exact else _options(name, made)
    found = {made for hint in hints for made in options.classes(hint)}
    if len(found) > 1:
        one = min(made.__name__ for made in found)
        rows = [(made.__name__, options.first_sentence(made)) for made in found]
        more = f"The options of one are listed by --config RECIPE --{name}{ENDING} {one}."
        return _table(f"Choices of --{name}:", sorted(rows)) + f"\n\n{more}"
    inside = [option for option in known if option.name.rpartition(".")[0] == name]
    if inside:
        return _table(
            f"Options of --{name}:", [(f"--{o.name}", _first(o.sentence)) for o in inside]
        )
    return _options(name, next(iter(found), None))


def _options(name: str, owner: type | None) -> str:
    rows = [
        (f"--{name}.{parameter.name}", _first(parameter.doc or ""))
        for parameter in (options.parameters(owner) if owner else ())
        if parameter.name not in options.WIRED
    ]
    return _table(f"Options of {owner.__name__}:", rows) if owner else ""


def _hints(name: str, known: Sequence[Option]) -> list[Any]:
    """Returns the types of an option; if its owner is not chosen, of that of every choice."""
    exact = [option.hint for option in known if option.name == name]
    owner, _, last = name.rpartition(".")
    if exact or not owner:
        return exact
    owners = {made for hint in _hints(owner, known) for made in options.classes(hint)}
    held = [parameter for made in owners for parameter in options.parameters(made)]
    return [parameter.annotation for parameter in held if parameter.name == last]


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    width = max((len(name) for name, _ in rows), default=0)
    short = [(name, textwrap.shorten(text, LONGEST, placeholder=" …")) for name, text in rows]
    return "\n".join([title, "", *(f"  {name:<{width}}  {text}".rstrip() for name, text in short)])


def _first(text: str) -> str:
    return " ".join(text.split()).partition(". ")[0].removesuffix(".")


def _most_used(parser: CommandParser) -> Iterator[argparse.Action]:
    known = {option.name: option for option in options.known(parser, ["--model=PredictiveModule"])}
    own = {action.dest: action for action in parser._actions}
    yield from (own[name] for name in parser.own)
    for name in filter(known.__contains__, MOST_USED):
        part, _, title = name.rpartition(".")
        choices = name in ("data", "model") or part == "model"
        text = SENTENCES.get(name, known[name].sentence)
        text += f" `--{name}{ENDING}` lists the choices." if choices else ""
        if choices or name in SENTENCES:
            names = ("-c", "--config") if name == "config" else (f"--{name}",)
            yield _action(names, name, title.upper(), text.replace("%", "%%"))
        else:
            yield own[name]


def _action(names: Sequence[str], dest: str, metavar: str, text: str) -> argparse.Action:
    return argparse.Action(names, dest, metavar=metavar, help=text, default=argparse.SUPPRESS)


def _group(parser: ArgumentParser, title: str, actions: list[argparse.Action]) -> Any:
    group: Any = argparse._ArgumentGroup(parser, title)
    group._group_actions = actions
    return group


def _without(group: Any, shown: Sequence[argparse.Action]) -> Any:
    rest = copy.copy(group)
    names = {action.dest for action in shown}
    rest._group_actions = [action for action in group._group_actions if action.dest not in names]
    return rest
