"""Recipes: YAML files, found by name from any directory and listed with one line each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from locale import getpreferredencoding
from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor

from framework.console.encoding import reads_utf8
from framework.console.errors import UserError

FOLDER = Path(__file__).resolve().parents[2] / "recipes"
RUN_NAME = "run_name"  # the resolver of the name of a run
DEEPEST = 60  # levels of a recipe
STUDIES = "studies"  # its folder of files that configure many runs


def with_paths(args: Sequence[str]) -> list[str]:
    """Replaces the name after each `--config` by the path of that recipe.

    Raises:
        UserError: If no recipe or more than one has that name, or its YAML cannot be read.
    """
    found = list(args)
    for index, word in enumerate(found):
        if word.startswith("--config="):
            found[index] = f"--config={find(word.removeprefix('--config='))}"
        elif index and found[index - 1] in ("-c", "--config"):
            found[index] = str(find(word))
    return found


def find(name: str, among: Sequence[Path] | None = None) -> Path:
    """Finds a recipe: a file of that name, or else the shipped recipe whose path ends with it.

    Args:
        name: Path of a YAML file, or the end of the path of a shipped recipe without its
            extension: `quickstart`, `forecast/quickstart`, `heads/fourier`.
        among: The shipped files to search; recipes and overlays if not given.

    Raises:
        UserError: If no recipe or more than one has that name, or its YAML cannot be read.
    """
    if Path(name).is_file():
        return _checked(Path(name))
    wanted = tuple(name.removesuffix(".yaml").split("/"))
    shipped = recipes() if among is None else among
    paths = [path for path in shipped if _parts(path)[-len(wanted) :] == wanted]
    exact = [path for path in paths if _parts(path) == wanted]
    match exact or paths:
        case [path]:
            return _checked(path)
        case []:
            raise UserError(
                f"there is no file and no shipped recipe '{name}'; {_hint(name, shipped)}"
            )
        case several:
            names = ", ".join("/".join(_parts(path)) for path in several)
            raise UserError(f"several shipped recipes are called '{name}'; name one of {names}")


def close_names(name: str, shipped: Sequence[Path]) -> list[str]:
    """Returns the names of at most three shipped files that are or look like a name."""
    tails = {"/".join(_parts(path)[-k:]) for path in shipped for k in range(1, 4)}
    return get_close_matches(name.removesuffix(".yaml"), sorted(tails), n=3)


def recipes() -> list[Path]:
    """Lists the shipped recipes: those that run alone, then the overlays."""
    paths = [path for path in FOLDER.rglob("*.yaml") if _parts(path)[0] != STUDIES]
    return sorted(paths, key=lambda path: ("overlays" in _parts(path), path))


def studies() -> list[Path]:
    """Lists the shipped studies, which `overtone study` runs."""
    return sorted((FOLDER / STUDIES).rglob("*.yaml"))


def listing() -> Iterator[str]:
    """Yields a line for each shipped file: the name that finds it and its first sentence."""
    names = {path: _shortest_name(path) for path in recipes()}
    names |= {path: f"study {_parts(path)[-1]}" for path in studies()}
    width = max((len(name) for name in names.values()), default=0)
    for path, name in names.items():
        yield f"{name:<{width}}  {first_sentence(path)}"


def first_sentence(path: Path) -> str:
    """Returns the sentence that the header of a shipped file opens with.

    Args:
        path: The file.
    """
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    paragraph = " ".join(lines).strip()
    return re.split(r"(?<=[.!?])\s", paragraph, maxsplit=1)[0]


def run_name(args: Sequence[str]) -> str:
    """Names a run after the first recipe of its command line.

    Example:
        >>> run_name(["fit", "--config=two_peaks"]), run_name(["fit", "--config", "my/own.yaml"])
        ('two_peaks', 'own')
    """
    for option, value in zip(args, [*args[1:], ""], strict=False):
        if option.startswith("--config="):
            return Path(option.removeprefix("--config=")).stem
        if option in ("-c", "--config") and value:
            return Path(value).stem
    return "run"


def register_name(name: str) -> None:
    """Lets `${run_name:}` in a recipe stand for the name of the run; may be called again.

    Args:
        name: The name.
    """
    from omegaconf import OmegaConf  # lists of recipes need not wait for it

    OmegaConf.register_resolver(RUN_NAME, lambda: name, replace=True)


def _parts(path: Path) -> tuple[str, ...]:
    return path.relative_to(FOLDER).with_suffix("").parts


def _shortest_name(path: Path) -> str:
    parts = _parts(path)
    if parts[0] == "overlays":  # named with their folder: heads/fourier
        return "/".join(parts[1:])
    others = [_parts(other) for other in recipes() if other != path]
    for length in range(1, len(parts)):
        tail = parts[-length:]
        if not any(other[-length:] == tail for other in others):
            return "/".join(tail)
    return "/".join(parts)


def _hint(name: str, shipped: Sequence[Path]) -> str:
    close = close_names(name, shipped)
    return f"did you mean {' or '.join(close)}?" if close else "`overtone recipes` lists them."


def _checked(path: Path) -> Path:
    """Returns the path of a file that is a YAML mapping."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if fault := next(_faults(root, [], set()), None):
            raise UserError(f"{path}, {fault}.")
        if root is not None:
            SafeConstructor().construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}{where}: this is not YAML: {error.problem}.") from error
    except RecursionError as error:
        raise UserError(f"{path}: this is nested too deeply; no recipe needs that.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: this is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(root, yaml.MappingNode):
        raise UserError(
            f"{path}: a recipe is a mapping (model: …, data: …, trainer: …), this is not."
        )
    if not text.isascii() and not reads_utf8():
        raise UserError(
            f"{path} holds characters beyond ASCII, and Python reads files as "
            f"{getpreferredencoding(False)} here; set the environment variable PYTHONUTF8=1."
        )
    return path


def _faults(node: yaml.Node | None, above: list[yaml.Node], done: set[int]) -> Iterator[str]:
    """Yields what YAML permits and no recipe can mean, with its line."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in done:
        return
    line = node.start_mark.line + 1
    if any(node is one for one in above):
        yield f"line {line}: an alias (*name) stands inside what it names"
        return
    if len(above) == DEEPEST:
        yield f"line {line}: this is nested more than {DEEPEST} levels deep"
        return
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, _ in node.value:
            here = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and lines.setdefault(key.value, here) != here:
                yield f"line {here}: {key.value} is given twice, first in line {lines[key.value]}"
    pairs = isinstance(node, yaml.MappingNode)
    for part in [part for pair in node.value for part in pair] if pairs else node.value:
        yield from _faults(part, [*above, node], done)
    done.add(id(node))
