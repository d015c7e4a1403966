"""Download one file completely. The md5 decides: a complete file with the wrong md5 is mended, or fetched once more."""

from __future__ import annotations

from ..errors import Difference
from ..events import Message
from .asking import Asking
from .damage import find_nothing
from .events import FileDamaged
from .manifest import RecordFile
from .mend import Mend
from .partial import Partial
from .run import FetchRun


class WrongMd5(Difference):
    """A file has the wrong md5, and so has the one that was downloaded again."""


class Fetch:
    """Downloads one file. Attributes: all ``fetched`` bytes, and those ``repaired``, which mended a damaged file."""

    def __init__(self, run: FetchRun, file: RecordFile, partial: Partial) -> None:
        self._run, self._file, self._partial = run, file, partial
        self._asking = Asking(run, file, partial)
        self.repaired = 0

    @property
    def fetched(self) -> int:
        return self._asking.fetched

    def run(self) -> None:
        """Download the file and publish it.

        Raises
        ------
        S2ctError
            If the download fails. The partial file is kept, so that the next run resumes it.
        Stopped, KeyboardInterrupt
            If the download is being stopped.
        """
        seen: set[str] = set()
        downloads = "two complete downloads" if self._partial.missing else "a complete download"
        for last in (False, True):
            self._asking.bring(self._partial)
            if self._partial.is_right() or self._mended(seen):
                self._partial.publish()
                return
            if last:
                aside = self._partial.set_aside()
                raise WrongMd5(
                    f"the file has the wrong md5 after {downloads}",
                    where=self._file.key,
                    expected=f"md5 {self._file.md5}",
                    found=f"md5 {self._partial.md5()}, kept as {aside.name}",
                    todo="try another network; if the error stays, the record has changed or the manifest is wrong",
                )
            self._run.on_event(
                Message(f"{self._file.key}: complete, but with the wrong md5 {self._partial.md5()}; fetching it again")
            )
            self._partial.start_over()

    def _mended(self, seen: set[str]) -> bool:
        """Mend the file. Not if an earlier download gave the same bytes: then the file at the service is damaged."""
        md5 = self._partial.md5()
        if md5 in seen:
            return False
        seen.add(md5)
        if self._run.mending.find is find_nothing:
            return False
        self._run.on_event(FileDamaged(self._file.key, md5))
        mend = Mend(self._run, self._file, self._partial, self._asking)
        if not mend.run():
            return False
        self.repaired = mend.fetched
        return True
