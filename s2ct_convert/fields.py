"""Checks that the fields of a dataclass have the types that they are declared with, for values read from a file."""

from __future__ import annotations

import dataclasses
import math
import types
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def check_fields(instance: T) -> T:
    """Return ``instance``, a dataclass, if every field has a value of its type.

    Raises
    ------
    TypeError
        If not. Numbers that are not finite are no numbers.
    """
    kind: Any = type(instance)
    for name, hint in _hints(kind).items():
        if not _fits(value := getattr(instance, name), hint):
            raise TypeError(f"{name} is {str(value)[:80]!r}")
    return instance


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin in (list, tuple):
        return isinstance(value, origin) and all(_fits(one, arguments[0]) for one in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)
