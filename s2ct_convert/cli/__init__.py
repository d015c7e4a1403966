"""The command line: thin commands that parse, call the library and print. ``main`` turns errors into exit codes.

This module and the top of each command module import only click, so that ``s2ct --help`` is fast.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import TextIO

import click

from ..errors import PartialStoreWarning, S2ctError, from_os_error
from ..version import __version__
from . import options
from .batch import batch
from .build import build
from .convert import convert
from .croissant import croissant
from .demo import demo
from .download import download
from .export import export
from .extract import extract
from .info import info
from .listing import list_, urls
from .plan import plan
from .preview import preview
from .stopping import stopped
from .verify import verify


class _Ordered(click.Group):
    """Lists commands in the order in which users need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Ordered, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="s2ct")
def cli() -> None:
    """Labelled Sentinel-2 cloud time series: from 7z-packed TFRecords to Zarr and HDF5.

    \b
    Start here:
      s2ct demo                            try s2ct on a small sample
      s2ct download archives/              download the record, or resume
      s2ct convert archives/ clouds.zarr   convert it, or resume
      s2ct build clouds.zarr               do both, with little disk space
      s2ct preview clouds.zarr             draw a sample, or the whole store

    \b
    Exit codes: 0 done, 2 wrong usage or the destination exists, 3 incomplete
    (run again), 4 verification found a difference, 5 a source is damaged,
    6 disk, permission or memory, 7 the network or the service, 130 and 143
    interrupted and terminated.
    """


for command in (
    demo,
    list_,
    urls,
    download,
    verify,
    plan,
    convert,
    build,
    batch,
    export,
    extract,
    info,
    preview,
    croissant,
):
    cli.add_command(command)


class _Terminated(BaseException):
    """SIGTERM as an exception, so that cleanup code runs."""


def _terminate(signum: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second SIGTERM must not interrupt the cleanup
    raise _Terminated


def _warn_in_one_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print warnings for users in one line, without a place in the code, and other warnings as Python does."""
    if issubclass(category, PartialStoreWarning):
        print(f"note: {message}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=file or sys.stderr)


def main() -> None:
    """Entry point of ``s2ct``."""
    warnings.showwarning = _warn_in_one_line
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # like stderr: a file name may not be valid UTF-8
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except S2ctError as error:
        code = _report(error)
    except (KeyboardInterrupt, click.Abort):
        code = _stopped("interrupted", 130)
    except _Terminated:
        code = _stopped("terminated", 143)
    except BrokenPipeError:
        # The reader of stdout has closed it (s2ct info | head). This is not an error to report.
        _drop_output()
        code = 1
    except OSError as error:
        code = _report(from_os_error(error))
        _drop_output()
    sys.exit(code if isinstance(code, int) else 0)


def _drop_output() -> None:
    """Send buffered output to /dev/null. Python flushes stdout again at exit, and would print an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: S2ctError) -> int:
    if options.debug():
        traceback.print_exc()
    print(f"s2ct: {error}", file=sys.stderr)
    return error.exit_code


def _stopped(how: str, code: int) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # another Ctrl-C must not interrupt the message
    if options.debug():
        traceback.print_exc()
    print(stopped(how), file=sys.stderr)
    return code
