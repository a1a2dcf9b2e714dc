"""Modules as their recipes describe them, not built yet."""

from jsonargparse._typehints import ActionTypeHint
from lightning.pytorch.cli import instantiate_module

from framework.replacing import replaced


def instantiate(kind, options):
    """Makes a module without parsing defaults, which constructors have: half of the time."""
    with replaced((ActionTypeHint, "add_sub_defaults", lambda *_: None)):
        return instantiate_module(kind, options)
