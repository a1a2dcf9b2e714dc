"""The command line: `overtone` and `lightning` are this `main`.

    overtone --help                      lists the commands
    overtone recipes                     lists what is shipped, one line each
    lightning fit --config quickstart    trains a recipe, found by name from any directory
    lightning fit --config my.yaml --config heads/fourier --trainer.max_steps 500
    lightning test --ckpt_path runs/quickstart/version_0/checkpoints/best.ckpt

An error of the user ends in one sentence and status 2; OVERTONE_DEBUG=1 shows its traceback. What
other statuses mean is said in `framework.interruptions`, and by `overtone --help`.
"""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module, metadata
from pathlib import Path

from framework.console import import_path, plugins, recipes, trust, verbs
from framework.console.deferred import deferred
from framework.console.encoding import use_utf8
from framework.console.errors import UserError, status_of, user_message
from framework.importing import foreign
from framework.interruptions import STOPPED
from framework.version import VERSION

NAMES = ("overtone", "lightning")
TARGET = "cli:main"
FACES = (  # packages whose classes have short names on the command line, once imported
    "components",
    "framework.callbacks",
    "framework.data",
    "framework.exchange",
    "framework.loggers",
    "framework.modules",
    "framework.pretrained",
    "framework.schedules",
    "framework.strategies",
    "framework.studies",
)
SLICES = ("tasks", "papers")  # folders of further such packages
LATE = (  # packages that are imported where they are used
    "matplotlib",
    "scipy",
    "torch._dynamo",
    "torch.distributed.tensor",
    "transformers",
)


def main(args: list[str] | None = None) -> None:
    """Runs a command line; returns nothing, so that the status of a success is 0.

    Args:
        args: Its arguments, by default those of the process.

    Raises:
        SystemExit: With status 2 after an error of the user, which is printed in one sentence, 1
            after one of a run that was training, 3 if that diverged, 75 after a signal that it
            could be saved at, and 130 after Ctrl-C elsewhere (see `framework.interruptions`).
    """
    use_utf8()
    args = sys.argv[1:] if args is None else list(args)
    program = Path(sys.argv[0]).stem if Path(sys.argv[0]).stem in NAMES else "lightning"
    label = f"{program} {args[0]}" if args and not args[0].startswith("-") else program
    warnings.formatwarning = _in_a_line
    if warning := foreign_lightning():
        print(f"{program}: warning: {warning}", file=sys.stderr)
    try:
        with trust.granted(args) as words:
            _run(words, program, args)
    except KeyboardInterrupt:
        print(f"{label}: stopped by Ctrl-C", file=sys.stderr)
        sys.exit(STOPPED)
    except Exception as error:
        message = user_message(error)
        if message is None or os.environ.get("OVERTONE_DEBUG"):
            raise
        print(f"{label}: error: {message}", file=sys.stderr)
        sys.exit(status_of(error))


def _in_a_line(message: Warning | str, *_: object) -> str:
    return f"warning: {' '.join(str(message).split())}\n"


def foreign_lightning() -> str:
    """Returns a warning if another package installs a script `lightning`, else ""."""
    scripts = metadata.entry_points(group="console_scripts", name="lightning")
    others = sorted({s.dist.name for s in scripts if s.value != TARGET and s.dist is not None})
    if not others:
        return ""
    return (
        f"the command `lightning` is also installed by {' and '.join(others)}, the last one wins; "
        f"use `overtone`, or run `pip uninstall {' '.join(others)}` and install overtone again."
    )


def _run(args: list[str], program: str, given: list[str]) -> None:
    match args:
        case ["-h" | "--help", *_]:
            print(verbs.help_text(program))
        case ["--version"]:
            print(program, VERSION)
        case ["recipes", *rest]:
            _list_recipes(rest)
        case [verb, *rest] if verb in verbs.names():
            if verbs.needs_parts(verb, rest):
                _import_classes()
            with foreign(verbs.reads_checkpoint(verb)):
                import_path.extend(rest)
                with deferred(*LATE):
                    run = verbs.load(verb)
                run(rest, program)
        case [verb, *_] if verb in verbs.LIGHTNING or verb.startswith("-"):
            _run_trainer(args, program, given)
        case _:
            raise verbs.unknown(*args[:1])


def _run_trainer(args: list[str], program: str, given: list[str]) -> None:
    paths = recipes.with_paths(args)  # a misspelt recipe is reported before imports take seconds
    _import_classes()
    from framework.console.checkpoint_path import takes_recipe
    from framework.console.command import Command

    with foreign(takes_recipe(paths)):
        import_path.extend(paths)
        Command(paths, recipes.run_name(args), program, given)


def _import_classes() -> None:
    with deferred(*LATE):
        modules = [import_module(face) for face in (*FACES, *_slices())]
    plugins.load(modules)


def _slices() -> list[str]:
    """Returns the packages of tasks and papers that exist; any can be deleted."""
    paths = Path(__file__).with_name("framework").glob("*/*/__init__.py")
    found = sorted(path.parent.parts[-2:] for path in paths if path.parts[-3] in SLICES)
    return [f"framework.{kind}.{name}" for kind, name in found]


def _list_recipes(rest: list[str]) -> None:
    if rest and not {*rest} <= {"-h", "--help"}:
        raise UserError(f"recipes takes no arguments, got {' '.join(rest)}; drop them.")
    print("\n".join(recipes.listing()))


if __name__ == "__main__":
    main()
