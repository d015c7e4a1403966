"""What an examination found: facts for people and for programs, problems, and advice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Problem:
    """Something that will fail or has failed, and what the user can do."""

    what: str
    todo: str


@dataclass
class Findings:
    """The findings of one or more examinations.

    Attributes
    ----------
    facts : list of (str, str)
        Names and values in words, in the order of the report.
    values : dict
        The same for programs: sizes in bytes, durations in seconds, None for unknown.
    problems : list of Problem
    advice : list of Problem
        What works, but could be better.
    """

    facts: list[tuple[str, str]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    advice: list[Problem] = field(default_factory=list)

    def fact(self, name: str, words: str, value: Any) -> None:
        """Add a fact, in words and as a value; the name in ``values`` has underscores."""
        self.facts.append((name, words))
        self.values[name.replace(" ", "_").replace("-", "_").lower()] = value

    def problem(self, what: str, todo: str) -> None:
        self.problems.append(Problem(what, todo))
