"""Options of public functions: dataclasses whose fields are keywords, documented once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
Function = TypeVar("Function", bound=Callable[..., Any])


def take(kind: type[A], given: dict[str, Any]) -> A:
    """The options of one kind; they are removed from ``given``."""
    return kind(**{name: given.pop(name) for name in _names(kind) if name in given})


def sort_options(given: Mapping[str, object], first: type[A], second: type[B], third: type[C]) -> tuple[A, B, C]:
    """The options of each kind.

    Raises
    ------
    TypeError
        If an option is of none of these kinds, as for any unknown keyword of a function.
    """
    left = dict(given)
    sorted_ = take(first, left), take(second, left), take(third, left)
    if left:
        raise TypeError(f"there is no option {next(iter(left))!r}")
    return sorted_


def takes(*kinds: type) -> Callable[[Function], Function]:
    """Add options to the signature of a function, and their documentation to its docstring, at ``{options}``."""

    def show(function: Function) -> Function:
        own = inspect.signature(function)
        keywords = [
            one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for kind in kinds
            for one in inspect.signature(kind).parameters.values()
        ]
        named = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        function.__signature__ = own.replace(parameters=named + keywords)  # type: ignore[attr-defined]
        if function.__doc__:  # none under python -OO
            documented = "\n".join(_attributes(kind) for kind in kinds)
            function.__doc__ = inspect.cleandoc(function.__doc__).replace("{options}", documented)
        return function

    return show


def _names(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]


def _attributes(kind: type) -> str:
    """The documentation of the fields of a kind, from its docstring."""
    return inspect.cleandoc(kind.__doc__ or "").partition("Attributes\n----------\n")[2]
