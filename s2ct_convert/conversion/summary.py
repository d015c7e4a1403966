"""What a conversion did, and the error that tells that some of it failed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import SomeFailed
from ..store.layout import OBS_BYTES
from .events import UnitFailed
from .ledger import UnitRecord


@dataclass(frozen=True)
class Summary:
    """What a conversion did.

    ``converted`` are the units made now, ``skipped`` those that were done before, ``failures`` what could not be
    made, ``missing`` every unit that was ever asked for and is not there. Bytes in and out and seconds are of the
    units made now; ``digest`` is None while the store is incomplete.
    """

    store: Path
    format: str
    codec: str
    converted: tuple[UnitRecord, ...]
    skipped: tuple[UnitRecord, ...]
    failures: tuple[UnitFailed, ...]
    missing: tuple[str, ...]
    digest: str | None
    seconds: float

    @property
    def bytes_in(self) -> int:
        return sum(record.source_bytes for record in self.converted)

    @property
    def bytes_out(self) -> int:
        return sum(record.bytes for record in self.converted)

    @property
    def bytes_raw(self) -> int:
        """Bytes of the pixels."""
        return sum(record.observations for record in self.converted) * OBS_BYTES


class UnitsFailed(SomeFailed):
    """Some units could not be made; the others are done. ``summary`` tells both."""

    def __init__(self, summary: Summary, todo: str) -> None:
        self.summary = summary
        done = len(summary.converted) + len(summary.skipped)
        super().__init__(
            f"{len(summary.failures)} of {done + len(summary.failures)} units failed",
            {failure.exit_code for failure in summary.failures},
            some_done=done > 0,
            where=str(summary.store),
            todo=todo,
        )
