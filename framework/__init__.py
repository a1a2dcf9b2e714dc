"""The Lightning side: modules and data, and everything that a run needs around the components.

What a user imports comes from here and from `components`; a part is loaded when it is first used,
so that a list of recipes need not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.callbacks import *  # noqa: F403 # each has an `__all__`
    from framework.data import *  # noqa: F403
    from framework.modules import *  # noqa: F403

FACES = ("modules", "data", "callbacks")


def __getattr__(name: str) -> Any:
    """Finds a public name in the parts."""
    if not name.startswith("_"):
        for face in FACES:
            part = import_module(f"framework.{face}")
            if name in part.__all__:
                return getattr(part, name)
    raise AttributeError(f"module 'framework' has no attribute {name!r}")
