"""What py7zr and the decoders under it raise, as errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ArchiveDamaged, ArchiveUnsupported, MachineError, S2ctError

AGAIN = "the file is damaged: check it against its md5 and fetch it again"


def encrypted(name: str) -> ArchiveUnsupported:
    return ArchiveUnsupported(
        "the archive is encrypted", where=name, todo="unpack it with 7-Zip and its password, then give the TFRecord"
    )


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what py7zr raises into our errors."""
    from py7zr.exceptions import CrcError, PasswordRequired, UnsupportedCompressionMethodError  # slow to import

    try:
        yield
    except S2ctError:
        raise
    except MemoryError as error:
        raise MachineError(
            "memory ran out while unpacking",
            where=name,
            todo="use fewer jobs (-j); a damaged archive may ask for too much as well: check it against its md5",
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise damaged(name, error) from error  # bz2 says "Invalid data stream" with an OSError
    except PasswordRequired:
        raise encrypted(name) from None
    except UnsupportedCompressionMethodError as error:
        raise unsupported(name, error.message) from error
    except CrcError as error:
        # py7zr gives (computed, stored) for a file and (stored, computed), without a name, for a block.
        of_file = error.filename is not None
        stored, computed = (error.actual, error.expected) if of_file else (error.expected, error.actual)
        raise wrong_crc32(f"{name}: {error.filename}" if of_file else name, stored, computed) from error
    except Exception as error:  # every decoder has errors of its own, and py7zr stumbles over damaged headers
        raise damaged(name, error) from error


def unsupported(name: str, method: str) -> ArchiveUnsupported:
    return ArchiveUnsupported(
        f"a compression method of this archive cannot be decoded here ({method})",
        where=name,
        todo="unpack it with 7-Zip, then give the TFRecord",
    )


def damaged(name: str, error: Exception) -> ArchiveDamaged:
    reason = str(error) or type(error).__name__
    return ArchiveDamaged(f"the archive is damaged ({reason})", where=name, todo=AGAIN)


def wrong_crc32(where: str, stored: int, computed: int) -> ArchiveDamaged:
    return ArchiveDamaged(
        "the CRC32 of what was unpacked does not fit",
        where=where,
        expected=f"{stored:#010x}",
        found=f"{computed:#010x}",
        todo=AGAIN,
    )


def wrong_size(where: str, missing: int) -> ArchiveDamaged:
    """``missing`` is negative where there are too many bytes, of which the rest may not have been unpacked."""
    return ArchiveDamaged(
        "the file in the archive is not as long as the archive says",
        where=where,
        found=f"{missing:,} bytes too few" if missing > 0 else f"at least {-missing:,} bytes too many",
        todo=AGAIN,
    )
