"""The Lightning side: modules, data, callbacks, playing, and all else that a run needs.

    from framework import Forecaster, LanguageModel, SeriesData, TokenData

Public names come from here and from `components`. They are imported when they are first used, so
that a list of recipes need not wait for torch.
"""

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.callbacks import *  # noqa: F403 # each has an `__all__`
    from framework.data import *  # noqa: F403
    from framework.exchange import *  # noqa: F403
    from framework.forecasting import *  # noqa: F403
    from framework.generation import *  # noqa: F403
    from framework.modules import *  # noqa: F403
    from framework.playing import *  # noqa: F403

FACES = ("modules", "data", "callbacks", "forecasting", "generation", "playing", "exchange")


def __getattr__(name: str) -> Any:
    """Imports a public name, or a package of them.

    Raises:
        AttributeError: If there is none of that name.
    """
    if name == "__all__":  # what `from framework import *` reads
        return __dir__()
    if name in FACES:
        return import_module(f"framework.{name}")
    if not name.startswith("_"):
        for face in FACES:
            package = import_module(f"framework.{face}")
            if name in package.__all__:
                return getattr(package, name)
        raise AttributeError(f"module 'framework' has no attribute {name!r}{_hint(name)}")
    raise AttributeError(f"module 'framework' has no attribute {name!r}")


@cache
def _hint(name: str) -> str:
    """Returns the end of a sentence; remembered, as a parser asks for the same names again."""
    close = get_close_matches(name, __dir__(), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def __dir__() -> list[str]:
    """Returns the public names."""
    packages = (import_module(f"framework.{face}") for face in FACES)
    return sorted({*FACES, *(name for package in packages for name in package.__all__)})
