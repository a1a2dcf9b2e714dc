"""What a user imports from the package itself."""

import inspect
from abc import ABC
from collections import Counter
from functools import partial
from importlib import import_module
from pkgutil import walk_packages

from torch.distributions import Distribution

import components
from components import Backbone, Head, Initialization, Interval, LinearHead, Loss, Stem, data
from framework.modules.construction import describe

ROLES = (Head, Stem, Backbone, Loss, Initialization)


def defined(role: type) -> set[type]:
    """The public classes of a role that can be built."""
    for module in walk_packages(components.__path__, "components."):
        import_module(module.name)
    found, waiting = set(), [role]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("components.") and not inspect.isabstract(kind):
            found.add(kind)
    return {kind for kind in found if not kind.__name__.startswith("_")}


def test_names_are_those_of_what_they_name():
    for name in components.__all__:
        assert getattr(components, name).__name__ == name


def test_every_kind_of_data_is_there():
    kinds = {name for name in vars(data) if name.endswith(("Spec", "Batch"))}
    assert kinds <= set(components.__all__)


def test_every_part_is_there():
    for role in ROLES:
        assert {kind.__name__ for kind in defined(role)} <= set(components.__all__)


def test_supports_distributions_and_interfaces_are_there():
    expected = {"Tokens", "Interval", "Bins", "Embedded", *(role.__name__ for role in ROLES)}
    distributions = {kind.__name__ for kind in defined(Distribution)}
    bases = {"Expandable", "FourierCells", "SeriesDensity"}
    assert expected | distributions - bases <= set(components.__all__)


def test_short_names_mean_one_class():
    counts = Counter(kind.__name__ for role in ROLES for kind in defined(role))
    assert [name for name, count in counts.items() if count > 1] == []
    assert all(issubclass(role, ABC) and inspect.isabstract(role) for role in ROLES)


def test_checkpoints_store_the_short_path():
    described = describe({"head": partial(LinearHead, bins=8), "support": Interval})
    assert described["head"] == {"class_path": "components.LinearHead", "init_args": {"bins": 8}}
    assert described["support"] == {"class_path": "components.Interval"}
