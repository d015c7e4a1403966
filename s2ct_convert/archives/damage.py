"""Turn exceptions of py7zr and its decoders into our errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ArchiveDamaged, ArchiveUnsupported, MachineError, S2ctError

LAST_RESORT = "last resort: convert --salvage"
AGAIN = (
    "the file is damaged: check it against its md5 and fetch it again,\n"
    f"            or mend it: s2ct download --repair; {LAST_RESORT}"
)


def encrypted(name: str) -> ArchiveUnsupported:
    return ArchiveUnsupported(
        "the archive is encrypted", where=name, todo="unpack it with 7-Zip and its password, then use the TFRecord"
    )


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn exceptions of py7zr into our errors, for the archive ``name``."""
    from py7zr.exceptions import CrcError, PasswordRequired, UnsupportedCompressionMethodError  # slow to import

    try:
        yield
    except S2ctError:
        raise
    except MemoryError as error:
        raise MachineError(
            "memory ran out while unpacking",
            where=name,
            todo="use fewer jobs (-j); or check the md5 of the file, since damage may also ask for too much memory",
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise damaged(name, error) from error  # bz2 raises OSError("Invalid data stream")
    except PasswordRequired:
        raise encrypted(name) from None
    except UnsupportedCompressionMethodError as error:
        raise unsupported(name, error.message) from error
    except CrcError as error:
        # py7zr gives (computed, stored) for a file, but (stored, computed) and no name for a block.
        of_file = error.filename is not None
        stored, computed = (error.actual, error.expected) if of_file else (error.expected, error.actual)
        raise wrong_crc32(f"{name}: {error.filename}" if of_file else name, stored, computed) from error
    except Exception as error:  # each decoder has its own errors, and damaged headers break py7zr
        raise damaged(name, error) from error


def unsupported(name: str, method: str) -> ArchiveUnsupported:
    return ArchiveUnsupported(
        f"a compression method of this archive cannot be decoded here ({method})",
        where=name,
        todo="unpack it with 7-Zip, then use the TFRecord",
    )


def damaged(name: str, error: Exception) -> ArchiveDamaged:
    reason = str(error) or type(error).__name__
    return ArchiveDamaged(f"the archive is damaged ({reason})", where=name, todo=AGAIN)


def wrong_crc32(where: str, stored: int, computed: int) -> ArchiveDamaged:
    return ArchiveDamaged(
        "the CRC32 of the unpacked data does not match",
        where=where,
        expected=f"{stored:#010x}",
        found=f"{computed:#010x}",
        todo=AGAIN,
    )


def wrong_size(where: str, missing: int) -> ArchiveDamaged:
    """A member has the wrong size. ``missing`` is negative if there are too many bytes; then it is a lower limit."""
    return ArchiveDamaged(
        "a file in the archive does not have the size in its header",
        where=where,
        found=f"{missing:,} bytes too few" if missing > 0 else f"at least {-missing:,} bytes too many",
        todo=AGAIN,
    )
