"""What a download needs to know about damage in a file. A higher room finds it: this one knows nothing of archives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Damage(NamedTuple):
    """A stretch of a file that holds damage: its first byte, and the byte after its last one."""

    start: int
    end: int


FindDamage = Callable[[Path, str, Callable[[], bool]], Damage | None]


def find_nothing(path: Path, key: str, stopping: Callable[[], bool]) -> Damage | None:
    """Find no damage: every file with a wrong md5 is fetched again."""
    return None


@dataclass(frozen=True)
class Mending:
    """How damaged files are mended.

    Attributes
    ----------
    find : callable
        Finds the first damage in a file. Gets its path, its name in the record, and a callable that returns whether to
        stop; then it raises ``KeyboardInterrupt``. Returns None if it finds no damage.
    existing : bool
        Mend also files with the wrong md5 that were in the folder before. Otherwise they are renamed.
    """

    find: FindDamage = find_nothing
    existing: bool = False


NO_MENDING = Mending()
