"""``s2ct view`` as a Python function: serves a store and its page from a thread, until it is closed."""

from __future__ import annotations

import errno
import os
import re
import socket
import threading
import webbrowser
from pathlib import Path
from types import TracebackType
from typing import Self

from ..dataset import check_default
from ..errors import Incomplete, MachineError, S2ctError, WrongUsage, from_os_error
from ..kinds import Kind, kind_of
from ..paths import check_readable
from ..reading.opening import open_to_verify
from ..words import shell_path
from .predictions import Given, for_page
from .server import Server

PORT = 8736  # the usual one: what a browser keeps belongs to host and port
_ORIGIN = re.compile(r"\*|null|https?://[^\s/?#@]+")  # what a browser sends, and what it must get back
_POLL_SECONDS = 0.1  # how soon the server sees that it is closed


class View:
    """A store that is served to the browsers of this machine. Use as a context manager, or ``close`` it.

    In a notebook, the last value of a cell shows the page in a frame; the browser must run on the same machine, or see
    its port through a tunnel.

    Attributes
    ----------
    url : str
        The address of the page. Whoever knows it can read the store while it is served.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = server.url
        self._thread = threading.Thread(
            target=server.serve_forever, args=(_POLL_SECONDS,), name="s2ct view", daemon=True
        )
        self._thread.start()

    def __repr__(self) -> str:
        return f"<View {self.url}>"

    def _repr_html_(self) -> str:
        return f'<iframe src="{self.url}" width="100%" height="800" style="border: 0"></iframe>'

    def close(self) -> None:
        """End the server. Closing twice does nothing."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def view(
    store: str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    cors: str | None = None,
    predictions: Given = None,
    open_browser: bool = False,
) -> View:
    """Serve a Zarr store and a page that shows it: every date of every sample, with filters and a review of labels.

    Parameters
    ----------
    store : path-like
        A finished Zarr store; it may be partial.
    host : str
        The address to listen on: only this machine by default. ``0.0.0.0``: all addresses of this machine.
    port : int, optional
        0: any free port. By default 8736, or any free one if that is in use: browsers keep a review for each port.
    cors : str, optional
        An origin whose pages may read the store too, such as ``https://example.org``; ``*`` for all.
    predictions : path-like or Predictions, optional
        Predictions of a model: CSV or Parquet as :func:`read_predictions` reads it.
    open_browser : bool
        Open the page in the browser of this machine.

    Returns
    -------
    View
        Serves until it is closed, or until Python ends.

    Raises
    ------
    WrongUsage
        If the store is HDF5, or is not of the default data set, or the predictions do not fit it.
    Incomplete
        If its conversion has not finished.
    NotAStore
        If there is no store.
    StoreDamaged
        If the root of the store is not valid.
    MachineError
        If the port is in use, or the address is not one of this machine.

    Examples
    --------
    >>> with s2ct_convert.view("sample.zarr") as page:  # doctest: +SKIP
    ...     input(f"{page.url}: press Enter to end")
    """
    made = View(make_server(store, host=host, port=port, cors=cors, predictions=predictions))
    if open_browser:
        webbrowser.open(made.url)
    return made


def make_server(
    store: str | os.PathLike[str], *, host: str, port: int | None, cors: str | None, predictions: Given = None
) -> Server:
    """A server that does not serve yet. Parameters and errors as of :func:`view`."""
    if cors is not None and not _ORIGIN.fullmatch(cors):
        raise WrongUsage(
            f"--cors is {cors!r}, not an origin", expected="https://example.org, without a path; or * for all"
        )
    path = check_viewable(store)
    given = for_page(predictions, path)
    document = None if given is None else given.document()
    try:
        return _listen(path, host, port, cors, document)
    except OSError as error:
        made: S2ctError
        where = f"{host}:{PORT if port is None else port}"
        if isinstance(error, socket.gaierror):  # its numbers are not those of the system
            made = MachineError(error.strerror or str(error), where=where)
        else:
            made = from_os_error(error, where)
        made.todo = made.todo or "choose another --port, or 0 for any free one; --host is an address of this machine"
        raise made from None


def _listen(path: Path, host: str, port: int | None, cors: str | None, document: bytes | None) -> Server:
    try:
        return Server(path, host, PORT if port is None else port, cors, document)
    except OSError as error:
        if port is not None or error.errno != errno.EADDRINUSE:
            raise
        return Server(path, host, 0, cors, document)


def check_viewable(store: str | os.PathLike[str]) -> Path:
    """The path of a store that the page can show. Raises as :func:`view`.

    Its units may be damaged: the page says which.
    """
    path = check_readable(store)
    if kind_of(path) is Kind.HDF5:
        name = shell_path(path.with_suffix(".zarr").name)
        raise WrongUsage(
            "a browser reads Zarr stores, and this is an HDF5 file",
            where=str(path),
            todo=f"make a Zarr store: s2ct convert ARCHIVES {name}; without the archives, "
            f"s2ct export {shell_path(path)} back/ and s2ct convert back/ {name}",
        )
    with open_to_verify(path) as opened:
        check_default(opened.dataset, "view", str(path))
        if not opened.finished:
            raise Incomplete(
                "the conversion of this store has not finished",
                where=str(path),
                todo="run the command that made the store again; it resumes",
            )
    return path
