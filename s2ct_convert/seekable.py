"""A file that is read from any position, for what is not a plain file on this machine."""

from __future__ import annotations

import io
import os


class Seekable(io.RawIOBase):
    """Keeps the position. A subclass has ``size`` and ``read``, which moves ``_at``."""

    _at = 0

    def size(self) -> int:
        """Size in bytes."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size()}[whence]
        self._at = max(base + offset, 0)
        return self._at
