"""Checks what jsonargparse imports and calls for a class path: nothing but what its slot holds.

By itself it imports whatever a value names, calls any function that is written as a `class_path`
where a factory is expected, and builds any class for an option without a type.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import isclass
from typing import Any

from jsonargparse import _parameter_resolvers, _signatures, _util, set_parsing_settings
from jsonargparse import _typehints as typehints

from framework.importing import check, restricted
from framework.replacing import replaced
from framework.signatures import made_by, parameters

NO_FACTORY = "is no part that can stand here"  # in the sentence on what has another type
FACTORY: Any = typehints.adapt_partial_callable_class
MADE: Any = typehints.get_callable_return_type
KINDS: Any = typehints.get_subclass_types
LOGGER = logging.getLogger(__name__)

set_parsing_settings(instantiate_subclass_spec_in_any=False)  # for all parsers, Lightning's too


@contextmanager
def checked() -> Iterator[None]:
    """Checks class paths inside a `with` statement, before they are imported or called.

    The source of each class is read once there, not at every mention.
    """
    changed: tuple[tuple[Any, str, Any], ...] = (
        (_util, "check_import_path", check),
        (typehints, "check_import_path", check),
        (typehints, "adapt_partial_callable_class", _factory),
        (typehints, "get_protocol_call_return_type", made_by),
        (_signatures, "get_signature_parameters", parameters),
        (_parameter_resolvers, "get_signature_parameters", parameters),
    )
    with replaced(*changed):
        yield


def _factory(slot: Any, described: Any) -> Any:
    """Accepts what makes the class of a slot: a class derived from it, or a function of that type.

    Raises:
        ImportError: If it is something else.
    """
    adapted, skipped = FACTORY(slot, described)
    if skipped is None and not _suits(slot, described["class_path"]):
        raise ImportError(
            f"{described['class_path']} {NO_FACTORY}, nor a function whose return type says that "
            "it makes one"
        )
    return adapted, skipped


def _suits(slot: Any, path: str) -> bool:
    """Whether what is no class of the slot may be called for it nevertheless."""
    made = MADE(slot)
    kinds = KINDS(made) if made else None
    found = _util.import_object(typehints.resolve_class_path_by_name(made, path) if made else path)
    if isclass(found):  # whose objects are called; jsonargparse refuses it where a type is known
        return bool(kinds) or not restricted()
    return bool(kinds) and bool(typehints.function_returns_subclass(found, kinds, LOGGER))
