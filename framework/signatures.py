"""Remembers what jsonargparse reads from the sources of a class, at every mention of it anew.

A command line mentions the same classes many times, and a process may parse many.
"""

from __future__ import annotations

from copy import copy, deepcopy
from functools import cache
from inspect import isclass
from typing import Any

from jsonargparse import Namespace
from jsonargparse import _typehints as typehints
from jsonargparse._parameter_resolvers import ParamData, get_signature_parameters

MADE_BY: Any = typehints.get_protocol_call_return_type
DESCRIBED = (dict, Namespace)  # defaults that a parser may change in place


def parameters(owner: Any, method: str | None = None, logger: Any = True) -> list[ParamData]:
    """Returns the arguments of a function, or of a method of a class with those of its bases.

    Args:
        owner: The class or function.
        method: Name of the method; the constructor if not given.
        logger: Where jsonargparse writes what it could not read.
    """
    if not isclass(owner):
        return get_signature_parameters(owner, method, logger=logger)
    known = _parameters(owner, method)  # type: ignore[arg-type]  # a class is hashable
    return [_copied(parameter) for parameter in known]


@cache
def made_by(protocol: Any, logger: Any = None) -> Any:
    """Returns the type that a call of a protocol returns.

    Args:
        protocol: The protocol of a factory.
        logger: Where jsonargparse writes what it could not read.
    """
    return MADE_BY(protocol, logger)


@cache
def _parameters(owner: type, method: str | None) -> list[ParamData]:
    return get_signature_parameters(owner, method)


def _copied(parameter: ParamData) -> ParamData:
    own = copy(parameter)
    if isinstance(own.default, DESCRIBED):
        own.default = deepcopy(own.default)
    return own
