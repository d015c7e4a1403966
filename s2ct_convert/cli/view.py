"""``s2ct view``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options
from .results import print_json, print_json_now
from .stopping import keeps

if TYPE_CHECKING:
    from ..viewer.predictions import Predictions


@click.command(short_help="Show a store in the browser, and review labels.")
@click.argument("store", type=options.STORE_PATH)
@click.option(
    "--host",
    default="127.0.0.1",
    metavar="ADDRESS",
    help="Address to listen on; 0.0.0.0 for all of this machine.  [default: 127.0.0.1, for this machine only]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Port; 0 for any free one.  [default: 8736, or any free one if that is in use]",
)
@click.option("--no-open", is_flag=True, help="Do not open the browser; print the address only.")
@click.option("--cors", metavar="ORIGIN", help="Let pages of this origin read the store, e.g. https://example.org.")
@click.option(
    "--predictions",
    type=options.DATA_PATH,
    metavar="FILE",
    help="Show predictions of a model: CSV or Parquet with unit, localid, date, obs, prediction.",
)
@click.option("--export", type=options.ANY_PATH, metavar="DIR", help="Write the page and the store to DIR instead.")
@click.option("--no-store", is_flag=True, help="With --export: only the page. The store goes to DIR/store.")
@click.option("--overwrite", is_flag=True, help="With --export: replace an export of another store.")
@options.as_json
@options.quiet
@options.debugging
def view(
    store: Path,
    host: str,
    port: int | None,
    no_open: bool,
    cors: str | None,
    predictions: Path | None,
    export: Path | None,
    no_store: bool,
    overwrite: bool,
    json_: bool,
    quiet: bool,
) -> None:
    """Show every date of every sample of STORE (Zarr) in the browser, with filters and a review of labels.

    The page reads the store from a small server on this machine, and nothing from elsewhere. The address that is
    printed has a secret in it: whoever knows it can read the store. Ctrl-C ends the server.

    With --export, DIR gets the page and a copy of the store, for any web server that answers Range requests.

    With --predictions, the page has a confusion matrix of labels and predictions; a cell shows its patches.

    \b
    s2ct view clouds.zarr
    s2ct view clouds.zarr --no-open --port 8000
    s2ct view clouds.zarr --export site/
    s2ct view clouds.zarr --predictions predictions.csv
    """
    if export is None and (no_store or overwrite):
        raise click.UsageError("--no-store and --overwrite need --export")
    given = _read(predictions, store, quiet=quiet)
    if export is not None:
        _export(store, export, given, with_store=not no_store, overwrite=overwrite, json_=json_, quiet=quiet)
    else:
        _serve(store, given, (host, port, cors), opens=not no_open, json_=json_, quiet=quiet)


def _read(path: Path | None, store: Path, *, quiet: bool) -> Predictions | None:
    """Predictions, with a line on stderr that says how they fit the store."""
    if path is None:
        return None
    from ..viewer.predictions import read_predictions
    from ..viewer.view import check_viewable

    store = check_viewable(store)
    if not quiet:
        print(f"reading {path}", file=sys.stderr, flush=True)
    found = read_predictions(path, store)
    if found.note:
        print(f"note: {found.note}", file=sys.stderr)
    if not quiet:
        share = 100 * found.same / found.used
        print(f"predictions: {found.used:,}, of which {share:.1f} % are the label", file=sys.stderr, flush=True)
    return found


def _serve(
    store: Path,
    predictions: Predictions | None,
    at: tuple[str, int | None, str | None],
    *,
    opens: bool,
    json_: bool,
    quiet: bool,
) -> None:
    from ..viewer.view import PORT, make_server

    host, port, cors = at
    with make_server(store, host=host, port=port, cors=cors, predictions=predictions) as server:
        try:
            if json_:
                print_json_now({"url": server.url, "store": str(store), "host": host, "port": server.port})
            else:
                print(server.url, flush=True)
            if port is None and server.port != PORT:
                print(
                    f"note: port {PORT} is in use, so this page does not show reviews that were made there",
                    file=sys.stderr,
                )
            if not quiet:
                for line in _advice(server.url, host, server.port):
                    print(line, file=sys.stderr, flush=True)
            if opens and _has_browser():
                import webbrowser

                webbrowser.open(server.url)
            server.serve_forever()
        except KeyboardInterrupt:  # the usual end of a server, and no failure
            if not quiet:
                print("s2ct: the server has ended", file=sys.stderr)


def _advice(url: str, host: str, port: int) -> list[str]:
    import getpass
    import socket

    lines = []
    if os.environ.get("SSH_CONNECTION") and host in ("127.0.0.1", "localhost"):
        there = f"{getpass.getuser()}@{socket.gethostname()}"
        lines.append("On your own machine, run this, then open the address there:")
        lines.append(f"  ssh -N -L {port}:127.0.0.1:{port} {there}")
    elif host not in ("127.0.0.1", "localhost", "::1"):
        lines.append("note: other machines can reach this server, without encryption")
        if host in ("0.0.0.0", "::"):
            lines.append(f"From other machines: {url.replace('127.0.0.1', socket.gethostname())}")
    return [*lines, "Ctrl-C ends the server"]


def _has_browser() -> bool:
    """Whether this machine can open a window. Without one, Python would start a text browser in the terminal."""
    if os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _export(
    store: Path,
    folder: Path,
    predictions: Predictions | None,
    *,
    with_store: bool,
    overwrite: bool,
    json_: bool,
    quiet: bool,
) -> None:
    from ..show.progress import byte_progress
    from ..show.tables import print_facts
    from ..viewer.static import export_view
    from ..words import plural, size

    keeps(f"copied files stay in {folder}")
    with byte_progress("copying", quiet=quiet) as progress:
        done = export_view(
            store, folder, with_store=with_store, predictions=predictions, overwrite=overwrite,
            on_total=progress.set_total, on_bytes=progress.advance,
        )  # fmt: skip
    if json_:
        paths = {name: str(getattr(done, name)) for name in ("folder", "page", "store")}
        print_json({**paths, "files": done.files, "bytes": done.bytes, "copied": done.copied})
    elif quiet:
        print(done.page)
    else:
        copy = f"{done.store}, {plural(done.files, 'file')}, {size(done.bytes)}"
        print_facts([("page", str(done.page)), ("store", copy if with_store else f"put it at {done.store}")])
