"""The summary of a conversion, and the error of a conversion with failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..dataset import DATASET, Dataset
from ..errors import EXIT_MACHINE, EXIT_NETWORK, Incomplete, SomeFailed
from ..objects.address import AnyPath
from ..objects.usage import Usage
from ..store.layout import STATE_COMPLETE, STATE_INCOMPLETE, STATE_PARTIAL
from ..words import plural
from .entries import UnitEntry
from .events import UnitFailed


@dataclass(frozen=True)
class Summary:
    """The result of a conversion.

    Attributes
    ----------
    store : Path, or ObjectPath of a store in a bucket
    format, codec : str
        Such as ``zarr`` and ``balanced``.
    converted, skipped : tuple of UnitEntry
        Units that this run made, and units that were done before. Each has ``unit`` (``train/50SMG``), ``samples``,
        ``observations``, ``bytes``, ``digest`` and facts about its source.
    failures : tuple of UnitFailed
        Units and sources that failed, with the reason.
    missing : tuple of str
        All planned units that are not in the store, also those of earlier runs.
    digest : str or None
        Content digest of the store; None while it is incomplete.
    seconds : float
        Duration of the run.
    refused : tuple of str
        Names of sources that are not in the store although their units are, also those refused in earlier runs.
    not_units : tuple of str
        Names of files of a record that hold no unit.
    salvaged : tuple of str
        Units of the store that were salvaged from damaged sources, also in earlier runs.
    dataset : Dataset
    usage : Usage or None
        For a store in a bucket: the requests of this run on this machine, and the bytes of objects that it sent and
        received.
    """

    store: AnyPath
    format: str
    codec: str
    converted: tuple[UnitEntry, ...]
    skipped: tuple[UnitEntry, ...]
    failures: tuple[UnitFailed, ...]
    missing: tuple[str, ...]
    digest: str | None
    seconds: float
    refused: tuple[str, ...] = ()
    not_units: tuple[str, ...] = ()
    salvaged: tuple[str, ...] = ()
    dataset: Dataset = DATASET
    usage: Usage | None = None

    @property
    def state(self) -> str:
        """State of the store: complete, partial (it opens, and names what is missing), or incomplete."""
        if self.digest is None:
            return STATE_INCOMPLETE
        return STATE_PARTIAL if self.missing or self.refused or self.salvaged else STATE_COMPLETE

    @property
    def bytes_in(self) -> int:
        """Bytes of the sources that this run converted."""
        return sum(entry.source_bytes for entry in self.converted)

    @property
    def bytes_out(self) -> int:
        """Bytes of the units that this run made."""
        return sum(entry.bytes for entry in self.converted)

    @property
    def bytes_raw(self) -> int:
        """Bytes of the pixels."""
        return sum(entry.observations for entry in self.converted) * self.dataset.obs_bytes

    @property
    def unpackers(self) -> tuple[str, ...]:
        """The programs that unpacked the archives of this run."""
        return tuple(sorted({entry.unpacker for entry in self.converted if entry.unpacker is not None}))


def salvaged_error(store: AnyPath, units: Sequence[str], more: str = "") -> Incomplete:
    """The error of a store with units that were salvaged from damaged sources."""
    return Incomplete(
        "units were salvaged from damaged sources, so examples are missing",
        where=str(store),
        found=", ".join(units),
        todo=f"fetch these sources again and convert them: a good source replaces a salvaged unit{more}",
    )


class UnitsFailed(SomeFailed):
    """Some units failed, or sources were refused; the others are done.

    Attributes
    ----------
    summary : Summary
        The result: units that were made, and units and sources that failed.
    """

    def __init__(self, summary: Summary, again: str) -> None:
        self.summary = summary
        codes = {failure.exit_code for failure in summary.failures}
        done = len(summary.converted) + len(summary.skipped)
        refused = sum(failure.refused for failure in summary.failures)
        limited = any(failure.limited for failure in summary.failures)
        if EXIT_MACHINE in codes or limited:  # units were not tried
            again = f"{'solve this problem, then ' if EXIT_MACHINE in codes else ''}run the same command again"
        super().__init__(
            _counts(summary, done, refused),
            codes,
            some_done=done + refused > 0,  # the unit of a refused source is in the store
            where=str(summary.store),
            todo=again,
        )
        if limited:
            self.exit_code = EXIT_NETWORK


def _counts(summary: Summary, done: int, refused: int) -> str:
    failed = len(summary.failures) - refused
    not_tried = len(set(summary.missing) - {failure.unit for failure in summary.failures})
    sources = f"{refused} source{'s were' if refused > 1 else ' was'} refused"
    parts = [f"{failed} of {plural(done + failed + not_tried, 'unit')} failed"] if failed else []
    parts += [sources] if refused else []
    parts += [f"{not_tried} not tried"] if not_tried else []
    return ", ".join(parts)
