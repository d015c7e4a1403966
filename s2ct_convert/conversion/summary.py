"""What a conversion did, and the error that tells that some of it failed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import EXIT_MACHINE, SomeFailed
from ..store.layout import OBS_BYTES
from .events import UnitFailed
from .records import UnitRecord


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

    @property
    def unpackers(self) -> tuple[str, ...]:
        """What unpacked the archives that were converted now."""
        return tuple(sorted({record.unpacker for record in self.converted if record.unpacker is not None}))


class UnitsFailed(SomeFailed):
    """Some units could not be made; the others are done. ``summary`` tells both."""

    def __init__(self, summary: Summary, again: str) -> None:
        self.summary = summary
        codes = {failure.exit_code for failure in summary.failures}
        done = len(summary.converted) + len(summary.skipped)
        failed = len(summary.failures)
        not_tried = len(set(summary.missing) - {failure.unit for failure in summary.failures})
        stopped = f", {not_tried} not tried" if not_tried else ""
        super().__init__(
            f"{failed} of {done + failed + not_tried} units failed{stopped}",
            codes,
            some_done=done > 0,
            where=str(summary.store),
            todo="run the same command again when that is mended" if EXIT_MACHINE in codes else again,
        )
