"""Makes environments by their gymnasium id, and says what is missing where that fails."""

from __future__ import annotations

import re
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from framework.importing import check

ATARI = {"ram": "AtariRam", "frames": "AtariFrames"}  # class by kind of observation
ATARI_STEPS = 27_000  # of four frames, in an episode at most
PICTURES = "rgb_array"  # the render mode of environments that are filmed
PACKAGED = ("ALE",)  # namespaces of environments that the extra `rl` installs
EXTRAS = ("ale_py", "mujoco", "minari")
OURS = "overtone/"
EXTRA = "pip install 'overtone[rl]'"


def make(name: str, pictures: bool = False) -> Any:
    """Makes an environment to play in.

    Args:
        name: A gymnasium id, such as `Pendulum-v1`, or one with the module that registers it,
            such as `corridor:Corridor-v0`. Atari games have additional ids: observations of
            `overtone/Seaquest-ram` are the memory, of `overtone/Seaquest-frames` the last four
            frames of 84 x 84 pixels (`atari.AtariRam`, `atari.AtariFrames`).
        pictures: Whether `render` must return pictures.

    Raises:
        ValueError: If there is no environment of this id, its module cannot or must not be
            imported, or a package that it needs is missing.
    """
    import gymnasium  # slow to import

    if name.count(":") > 1:
        raise ValueError(f"The environment {name!r} has two colons; write module:Env-v0.")
    if (module := name.rpartition(":")[0]) and module not in EXTRAS:
        check(name.replace(":", ".", 1))
    try:
        if name not in gymnasium.registry:
            _register_atari(name)
        if module:
            import_module(module)
        mode = {"render_mode": PICTURES} if pictures else {}
        return gymnasium.make(name, disable_env_checker=True, **mode)
    except Exception as error:  # also of a module or a constructor of the user
        if isinstance(error, ValueError) and name.startswith(OURS):
            raise
        raise ValueError(
            f"The environment {name!r} cannot be made ({trouble(error)}); {_remedy(name, error)}."
        ) from error


def trouble(error: Exception) -> str:
    """Describes an error in another's code in one line, with its place where that helps."""
    import gymnasium

    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, gymnasium.error.Error | ImportError) or not frames:
        return text
    return f"{type(error).__name__}: {text}, {Path(frames[-1].filename).name}:{frames[-1].lineno}"


def _remedy(name: str, error: Exception) -> str:
    """Says what to do about an environment that cannot be made."""
    from gymnasium.error import DependencyNotInstalled, UnregisteredEnv, VersionNotFound

    module, _, own = name.rpartition(":")
    match error:
        case DependencyNotInstalled():
            return "install it" if "pip install" in str(error) else f"install it: {EXTRA}"
        case ModuleNotFoundError(name=missing) if missing and module and _within(module, missing):
            return (
                f"it is neither in the working directory {str(Path.cwd())!r} nor beside a "
                "recipe of this command; run where it is, or install it"
            )
        case ImportError(name=missing):
            return f"install it with {EXTRA}" if missing in EXTRAS else "install it"
        case UnregisteredEnv() if module:
            return f"{module} was imported, but must register {own!r} with gymnasium.register"
        case VersionNotFound():
            return "check the version"
        case UnregisteredEnv() if name.partition("/")[0] in PACKAGED:
            return f"install it with {EXTRA} and write ale_py:{name}"
        case UnregisteredEnv():
            return (
                "check the id, or name the module that registers it, as in "
                f"module:{name}: it may lie in the working directory or beside the recipe"
            )
        case _:
            return "correct the environment, or choose another one"


def _within(module: str, missing: str) -> bool:
    """Returns whether a missing module is one that the id names, not one that it imports."""
    return module == missing or module.startswith(f"{missing}.")


def _register_atari(name: str) -> None:
    """Registers an Atari game with gymnasium if the id is one of ours."""
    from gymnasium import register

    if match := re.fullmatch(rf"{OURS}(\w+)-({'|'.join(ATARI)})", name):
        game, kind = match.groups()
        entry = f"{__package__}.atari:{ATARI[kind]}"
        register(name, entry, max_episode_steps=ATARI_STEPS, kwargs={"game": game})
