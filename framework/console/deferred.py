"""Packages that are imported when something of them is first used, not when they are named.

Lightning and torchmetrics import plots, language models and compilers for what most commands never
do, which takes half of the time until a command line can be read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any


@contextmanager
def deferred(*packages: str) -> Iterator[None]:
    """Imports packages late that are named inside a `with` statement.

    Names that are taken from them there are stand-ins, which import the package when one is called
    later, or an attribute of it is read. What is called inside the statement is called when its
    result is, and a decorator when what it decorates is. Packages that have been imported before,
    or are not installed, are left alone.

    Args:
        packages: Names such as "scipy" or "torch._dynamo".
    """
    finder = _Finder([name for name in packages if name not in sys.modules])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        finder.withdraw()


class _Finder(MetaPathFinder, Loader):
    """Finds stand-ins of packages and of all modules in them."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = packages

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Finds a stand-in, if the package is deferred and there is one."""
        if fullname in self.packages and PathFinder.find_spec(fullname, path) is None:
            return None
        if not any(f"{fullname}.".startswith(f"{package}.") for package in self.packages):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Makes the stand-in of a module."""
        return _Module(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """Leaves it empty."""

    def withdraw(self) -> None:
        """Lets packages be imported as ever, and forgets what stood in for them."""
        sys.meta_path.remove(self)
        for name in [name for name, module in sys.modules.items() if type(module) is _Module]:
            parent, _, last = name.rpartition(".")
            vars(sys.modules.get(parent, self)).pop(last, None)
            del sys.modules[name]

    @property
    def active(self) -> bool:
        """Whether names still become stand-ins."""
        return self in sys.meta_path

    @property
    def imported(self) -> bool:
        """Whether a package has been imported since; before, nothing is of one of its classes."""
        return not self.active and any(name in sys.modules for name in self.packages)


class _Module(ModuleType):
    """Stands in for a module."""

    def __init__(self, name: str, finder: _Finder) -> None:
        super().__init__(name)
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._finder.active:
            return _StandIn(name, self._finder, lambda: _found(self.__name__, name))
        return _found(self.__name__, name)


class _StandIn(type):
    """Stands in for a class, a function or a result; a type, which annotations may name."""

    _finder: _Finder
    _make: Callable[[], Any]

    def __new__(cls, name: str, finder: _Finder, make: Callable[[], Any]) -> _StandIn:
        return super().__new__(cls, name, (), {"_finder": finder, "_make": cache(make)})

    def __init__(cls, name: str, finder: _Finder, make: Callable[[], Any]) -> None:
        super().__init__(name, (), {})

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if cls._finder.active:
            return _StandIn(name, cls._finder, lambda: getattr(cls._make(), name))
        return getattr(cls._make(), name)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        if not cls._finder.active:
            return cls._make()(*args, **options)
        result = cache(lambda: cls._make()(*args, **options))
        if args and isinstance(args[0], FunctionType):
            return _decorated(args[0], result)
        return _StandIn(cls.__name__, cls._finder, result)

    def __instancecheck__(cls, instance: Any) -> bool:
        return cls._finder.imported and isinstance(instance, cls._make())

    def __subclasscheck__(cls, subclass: type) -> bool:
        return cls._finder.imported and issubclass(subclass, cls._make())


def _decorated(function: FunctionType, result: Callable[[], Any]) -> Callable[..., Any]:
    """Makes a function of what a decorator will return, as a method must be one."""

    @wraps(function)
    def later(*args: Any, **options: Any) -> Any:
        return result()(*args, **options)

    return later


def _found(module: str, name: str) -> Any:
    """Imports something of a module, or a module of a package."""
    found = import_module(module)
    return getattr(found, name) if hasattr(found, name) else import_module(f"{module}.{name}")
