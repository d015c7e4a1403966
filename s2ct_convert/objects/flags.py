"""The options of the command line that say how a service is asked: set in the environment, repeated in advice."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..words import shell_join

_given: dict[str, str | None] = {}


def set_flag(flag: str, value: str | None, variables: Iterable[str]) -> None:
    """Set what an option stands for in the environment, so that workers have it too. ``value``: None for a switch."""
    os.environ.update(dict.fromkeys(variables, value or "true"))
    _given[flag] = value


def given_flags() -> str:
    """The options that were given, each with a blank before it: a command in advice needs them as well."""
    return "".join(f" {shell_join([flag] if value is None else [flag, value])}" for flag, value in _given.items())
