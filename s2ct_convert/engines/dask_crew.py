"""The workers of a Dask scheduler: how to reach them, which are usable, and their messages.

A worker is used only after a check: it must have the versions of the client, enough memory, and the same files. Every
wait here has a timeout. s2ct never starts a cluster.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from ..durable import beside, write_atomic
from ..errors import Incomplete, MachineError, NetworkError, S2ctError, WrongUsage
from ..objects.remote import absolute
from ..objects.scratch import address_of
from ..processes import owner_tag
from ..source.find import Source
from ..units.unit import PEAK_BYTES
from .dask_cluster import Cluster, connected
from .dask_worker import versions

ANSWER_SECONDS = 20.0  # timeout of the request for the list of workers
TICK_SECONDS = 0.5  # between two such requests

# As text: a function that a worker cannot import ends the whole worker (distributed 2026.8), not only its task.
_LOOK = "from s2ct_convert.engines.dask_worker import look_around; look_around(question)"

WorkerMessage = dict[str, Any]


@dataclass
class Worker:
    """A worker that the scheduler knows. ``seen``: its check has ended. ``fault``: why it cannot be used, or None."""

    address: str
    threads: int
    running: bool
    seen: bool = False
    fault: S2ctError | None = None
    look: Any = None  # the future of its check

    @property
    def usable(self) -> bool:
        return self.running and self.seen and self.fault is None


@dataclass
class Crew:
    """Workers by address, and their messages to the client."""

    client: Any
    cluster: Cluster
    question: dict[str, Any]
    workers: dict[str, Worker] = field(default_factory=dict)
    messages: SimpleQueue[WorkerMessage] = field(default_factory=SimpleQueue)
    asked: float = 0.0

    @property
    def topic(self) -> str:
        topic: str = self.question["topic"]
        return topic

    def hear(self, seconds: float) -> WorkerMessage | None:
        """The next message on a unit, or None after a timeout in seconds. Results of checks are consumed here.

        Raises
        ------
        NetworkError
            If the connection to the scheduler is lost.
        """
        if time.monotonic() - self.asked >= TICK_SECONDS:
            self._update()
        try:
            message = self.messages.get(timeout=max(0.0, min(seconds, TICK_SECONDS)))
        except Empty:
            return None
        if message["kind"] == "looked":
            if worker := self.workers.get(message["worker"]):
                worker.seen, worker.look = True, None
                worker.fault = worker.fault or _fault(message)
        elif message["kind"] == "not looked":
            if (worker := self.workers.get(message["worker"])) and not worker.seen:
                worker.seen, worker.look, worker.fault = True, None, _cannot_look(message["error"])
        else:
            return message
        return None

    def _update(self) -> None:
        """Ask the scheduler for its workers, and start the check of each new worker."""
        self.asked = time.monotonic()
        there = self._there()
        for address in self.workers.keys() - there.keys():
            del self.workers[address]
        for address, state in there.items():
            worker = self.workers.get(address)
            if worker is None:
                worker = self.workers[address] = Worker(address, state["nthreads"], running=False)
                worker.fault = _too_little(state["memory_limit"])
            worker.running = state["status"] == "running"
            if worker.running and not worker.seen and worker.look is None:
                self._ask(worker)

    def _there(self) -> dict[str, Any]:
        """The state of each worker by address, from the scheduler."""
        if self.client.status != "running":
            raise self.lost()
        loop = self.client.loop.asyncio_loop
        answer = asyncio.run_coroutine_threadsafe(self.client.scheduler.identity(n_workers=-1), loop)
        end = time.monotonic() + ANSWER_SECONDS
        # A client that is not running reconnects, but by then the scheduler has forgotten its units.
        while self.client.status == "running" and time.monotonic() < end:
            try:
                there: dict[str, Any] = answer.result(TICK_SECONDS)["workers"]
                return there
            except OSError as error:  # includes TimeoutError, which means no answer yet
                if answer.done():
                    raise self.lost() from error
        answer.cancel()
        raise self.lost()

    def _ask(self, worker: Worker) -> None:
        address = worker.address
        worker.look = self.submit(
            f"s2ct-look-{uuid.uuid4().hex}", address, exec, _LOOK, {"question": json.dumps(self.question)}
        )

        def not_looked(future: Any) -> None:
            if future.status == "error":
                self.messages.put({"kind": "not looked", "worker": address, "error": future.exception()})

        worker.look.add_done_callback(not_looked)

    def submit(self, key: str, address: str, function: Any, *args: Any) -> Any:
        """The future of a call on this worker only."""
        return self.client.submit(
            function, *args, key=key, pure=False, workers=[address], allow_other_workers=False, retries=0
        )

    def lost(self) -> NetworkError:
        return NetworkError(
            "lost the connection to the Dask scheduler",
            where=self.client_address(),
            todo="run the same command again when the scheduler is back; finished units are kept",
        )

    def client_address(self) -> str:
        return str(self.cluster.found)

    def wait(self) -> None:
        """Wait until there are workers and all of them are checked.

        Raises
        ------
        NetworkError, WrongUsage, MachineError
            If no worker comes or answers in time, or a worker cannot be used.
        """
        end = time.monotonic() + self.cluster.timeout
        while not (self.workers and all(worker.seen for worker in self.workers.values())):
            if time.monotonic() > end:
                raise self._timed_out()
            self.hear(end - time.monotonic())
        faults = {worker.address: worker.fault for worker in self.workers.values() if worker.fault}
        for kind in (WrongUsage, MachineError):
            of_kind = {address: fault for address, fault in faults.items() if isinstance(fault, kind)}
            if of_kind:
                first = next(iter(of_kind.values()))
                found = "\n            ".join(f"{address}: {fault.found}" for address, fault in of_kind.items())
                many = f"{len(of_kind)} of {len(self.workers)} workers cannot be used: {first.what}"
                raise kind(many, where=self.client_address(), expected=first.expected, found=found, todo=first.todo)

    def _timed_out(self) -> NetworkError:
        silent = [worker.address for worker in self.workers.values() if not worker.seen]
        return NetworkError(
            f"no worker within {self.cluster.timeout:g} s"
            if not silent
            else f"workers did not answer within {self.cluster.timeout:g} s",
            where=self.client_address(),
            found=", ".join(silent),
            todo=f"start workers (dask worker {self.client_address()} --nthreads 1), or wait longer: --workers-timeout",
        )

    def none_left(self, units: int) -> Incomplete:
        return Incomplete(
            f"no usable worker is left, and none came within {self.cluster.timeout:g} s",
            where=self.client_address(),
            found=f"{units} units are not done",
            todo="start workers and run the same command again; finished units are kept",
        )


@contextmanager
def gathered(cluster: Cluster, store: Path, sources: Sequence[Source]) -> Iterator[Crew]:
    """The crew of a cluster, with all workers checked.

    Raises
    ------
    NetworkError, WrongUsage, MachineError
        If there is no cluster, it has no worker, or a worker cannot be used.
    """
    bucket = address_of(store)
    with connected(cluster) as client, _nonce(store) as nonce:
        question = {
            "topic": f"s2ct-{uuid.uuid4().hex}",
            "bucket": str(bucket) if bucket else "",
            "nonce": nonce,
            "folder": os.path.dirname(nonce[0]),  # noqa: PTH120
            "sources": [(absolute(p), p.stat().st_size) for s in sources for p in s.files if isinstance(p, Path)],
        }
        crew = Crew(client, cluster, question)
        client.subscribe_topic(crew.topic, lambda event: crew.messages.put(json.loads(event[1])))
        crew.wait()
        yield crew


@contextmanager
def _nonce(store: Path) -> Iterator[tuple[str, str]]:
    """A file with random content, to check that a worker sees this file system; yields its path and content.

    It is in the ledger of the store or, if there is none, in the nearest existing folder above it.
    """
    ledger = beside(store, ".s2ct")
    folder = next(path for path in (ledger, *ledger.parents) if path.is_dir())
    content = uuid.uuid4().hex
    path = folder / f".{store.name}.{uuid.uuid4().hex[:8]}@{owner_tag()}.s2ct-tmp"  # sweep() deletes it after a kill
    write_atomic(path, content.encode("ascii"))
    try:
        yield str(path), content
    finally:
        path.unlink(missing_ok=True)


def _fault(answer: WorkerMessage) -> S2ctError | None:
    here, there = versions(), answer["versions"]
    differ = [name for name in here if here[name] != there.get(name)]
    if differ:
        return WrongUsage(
            "versions differ from this machine",
            expected=", ".join(f"{name} {here[name]}" for name in differ),
            found=", ".join(f"{name} {there.get(name)}" for name in differ),
            todo="start the workers from the same environment as this command",
        )
    if answer["unseen"]:
        more = f" and {len(answer['unseen']) - 1} more" if len(answer["unseen"]) > 1 else ""
        return WrongUsage(
            "the workers do not see the files of this machine, or the bucket",
            expected="a file system that this machine and all workers share, under the same path",
            found=answer["unseen"][0] + more,
            todo="put sources and store on a file system that all nodes share; for a bucket, give the workers obstore "
            "and the variables of docs/cloud.md",
        )
    return None


def _too_little(limit: int | None) -> S2ctError | None:
    if not limit or limit >= PEAK_BYTES:  # 0 is no limit
        return None
    return MachineError(
        "too little memory",
        expected=f"{PEAK_BYTES / 1e6:,.0f} MB",
        found=f"{limit / 1e6:,.0f} MB",
        todo="start workers with a higher --memory-limit (0 for no limit), or fewer workers on each node",
    )


def _cannot_look(error: BaseException) -> S2ctError:
    return WrongUsage(
        "s2ct cannot run there, or has another version",
        found=f"{type(error).__name__}: {error}",
        todo="start the workers from the same environment as this command",
    )
