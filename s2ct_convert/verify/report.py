"""The result of verifying a store."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..objects.address import AnyPath
from ..objects.usage import Usage
from .findings import Finding


@dataclass
class StoreReport:
    """The result of verifying a store.

    Attributes
    ----------
    path : Path or ObjectPath
    units, samples, observations : int
        Numbers in the store.
    checked : int
        Number of observations whose pixels were checked.
    findings : list of Finding
        Empty if there are no differences.
    remarks : list of str
        Notes that are not differences, such as the missing units of a partial store.
    unfinished : bool
        Whether the conversion of the store has not finished. Nothing else was checked then.
    opened : bool
        Whether the store and its units could be opened. If not, nothing else was checked.
    usage : Usage or None
        Of a store at an address: requests, and bytes of objects.
    """

    path: AnyPath
    units: int = 0
    samples: int = 0
    observations: int = 0
    checked: int = 0
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    opened: bool = False
    unfinished: bool = False
    usage: Usage | None = None

    @property
    def ok(self) -> bool:
        """Whether there are no differences."""
        return not self.findings

    def not_finished(self) -> StoreReport:
        """Mark the conversion of the store as unfinished and add the finding for it."""
        self.unfinished = True
        self.findings.append(Finding("the conversion of this store has not finished", file=str(self.path)))
        return self
