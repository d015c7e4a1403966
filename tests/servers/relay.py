"""A relay in front of a service of other people: it notes each request, and can act once the answer to one has come."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit


@dataclass
class Relay:
    """What was asked for.

    ``acts``: by the number of a PUT, from 1: what happens after the service has answered it. If it returns False, the
    answer is lost.
    """

    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)  # method, path
    acts: dict[int, Callable[[], bool]] = field(default_factory=dict)
    delay: float = 0.0  # seconds before a request goes on

    def puts(self) -> list[str]:
        return [path for method, path in self.requests if method == "PUT"]

    def put_twice(self) -> list[str]:
        """What was put more than once, without test objects."""
        return [path for path, n in Counter(self.puts()).items() if n > 1 and "probe-" not in path]


class _Connection:
    """One connection of a client. A client waits for an answer before it sends the next request."""

    def __init__(self, relay: Relay, port: int) -> None:
        self.relay, self.port = relay, port
        self.act: Callable[[], bool] | None = None

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection("127.0.0.1", self.port)
        back = asyncio.create_task(self._answers(there, writer))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, _ = head.decode("latin-1").split(" ", 2)
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                self.relay.requests.append((method, unquote(urlsplit(path).path)))
                self.act = self.relay.acts.pop(len(self.relay.puts()), None) if method == "PUT" else None
                if self.relay.delay:
                    await asyncio.sleep(self.relay.delay)
                to.write(head + body)
                await to.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has closed the connection, or the test is over
        finally:
            back.cancel()
            to.close()
            writer.close()

    async def _answers(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await there.read(1 << 16):
            act, self.act = self.act, None
            if act and not act():
                break
            writer.write(data)
        writer.close()


@contextmanager
def relayed(port: int) -> Iterator[Relay]:
    """A relay in front of the service at a port of the loopback interface."""
    relay, started = Relay(), threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        server = await asyncio.start_server(
            lambda reader, writer: _Connection(relay, port).run(reader, writer), "127.0.0.1", 0, limit=1 << 20
        )
        relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        over = asyncio.Event()
        loops.append((asyncio.get_running_loop(), over))
        started.set()
        async with server:
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="relay")
    thread.start()
    assert started.wait(10)
    try:
        yield relay
    finally:
        loop, over = loops[0]
        loop.call_soon_threadsafe(over.set)
        thread.join()
