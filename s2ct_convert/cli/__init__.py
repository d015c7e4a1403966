"""The command line: thin commands that parse, call the library and print. ``main`` turns errors into exit codes.

This module and the top of each command module import only click, so that ``s2ct --help`` is fast.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from functools import cache
from types import FrameType
from typing import TextIO

import click

from ..errors import (
    EXIT_CLOSED_PIPE,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    FolderSyncWarning,
    PartialStoreWarning,
    S2ctError,
    UnpackerWarning,
    from_os_error,
)
from ..version import __version__
from . import options, results, streams
from .batch import batch
from .build import build
from .completion import VARIABLE, answer, completion
from .convert import convert
from .croissant import croissant
from .demo import demo
from .doctor import doctor
from .download import download
from .export import export
from .extract import extract
from .group import Main, help_, short_help
from .info import info
from .listing import list_, urls
from .peek import peek
from .plan import plan
from .preview import preview
from .review import review
from .stopping import go_on, stopped
from .verify import verify
from .view import view


@click.group(
    cls=Main,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="s2ct")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Labelled Sentinel-2 cloud time series: from 7z-packed TFRecords to Zarr and HDF5.

    \b
    Start here:
      s2ct demo                            try s2ct on a small sample
      s2ct peek --all                      see what the record holds
      s2ct download archives/              download the record, or resume
      s2ct convert archives/ clouds.zarr   convert it, or resume
      s2ct build clouds.zarr               do both, with little disk space
      s2ct preview clouds.zarr             draw a sample, or the whole store
      s2ct view clouds.zarr                look at every sample in the browser
      s2ct doctor                          find out why something does not work
    """
    if ctx.invoked_subcommand is None:
        click.echo(short_help(ctx), nl=False)


for command in (
    demo,
    list_,
    peek,
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
    view,
    review,
    croissant,
    doctor,
    completion,
    help_,
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
    if issubclass(category, FolderSyncWarning):
        _note_once(str(message))  # Python forgets what it has shown when a library changes its filters
    elif issubclass(category, PartialStoreWarning | UnpackerWarning):
        print(f"note: {message}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=file or sys.stderr)


@cache
def _note_once(message: str) -> None:
    print(f"note: {message}", file=sys.stderr)


def main() -> None:
    """Entry point of ``s2ct``."""
    if instruction := os.environ.get(VARIABLE):
        sys.exit(answer(cli, instruction))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start a thread a core; nothing here uses them
    streams.prepare()
    warnings.showwarning = _warn_in_one_line
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _run()
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        # The reader has closed its end (s2ct info | head). Other tools then end by SIGPIPE, without a message.
        streams.drop()
        code = EXIT_CLOSED_PIPE
    except OSError as error:  # the output itself cannot be written
        error.filename = error.filename or streams.RESULTS
        print(f"s2ct: {from_os_error(error)}", file=sys.stderr)
        streams.drop()
        code = from_os_error(error).exit_code
    sys.exit(code)


def _run() -> int:
    """Run the command and report how it ended. Returns the exit code."""
    try:
        # Not cli.main(): it has its own way to end a command whose output is closed.
        with cli.make_context("s2ct", sys.argv[1:]) as ctx:
            cli.invoke(ctx)
        results.finish()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return _end(_as_ours(error))
    except S2ctError as error:
        return _report(error)
    except (KeyboardInterrupt, click.Abort):
        return _stopped("interrupted", EXIT_INTERRUPTED)
    except _Terminated:
        return _stopped("terminated", EXIT_TERMINATED)
    except BrokenPipeError as error:
        if streams.is_closed():
            raise
        return _report(from_os_error(error))  # another pipe, such as that of a program
    except OSError as error:
        if error.filename == streams.RESULTS:
            raise  # main reports it once; what stdout still holds would fail again
        return _report(from_os_error(error))
    return 0


def _as_ours(error: click.ClickException) -> S2ctError:
    """An error of usage in our form, for ``--json``."""
    ctx = getattr(error, "ctx", None)
    ours = S2ctError(error.format_message(), todo=f"{ctx.command_path} --help" if ctx else "")
    ours.exit_code = error.exit_code
    return ours


def _report(error: S2ctError) -> int:
    if options.debug():
        traceback.print_exc()
    from ..show.terminal import error_lines, width_of

    for line in error_lines(f"s2ct: {error}", width_of(sys.stderr)):
        print(line, file=sys.stderr)
    return _end(error)


def _end(error: S2ctError) -> int:
    """Print the error as JSON too, if the user asked for JSON. Returns its exit code."""
    results.finish(error if results.asked() else None)
    return error.exit_code


def _stopped(how: str, code: int) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # another Ctrl-C must not interrupt the message
    if options.debug():
        traceback.print_exc()
    print(stopped(how), file=sys.stderr)
    error = S2ctError(how, todo=go_on())
    error.exit_code = code
    return _end(error)
