"""Fuzz one target for a while: ``python scripts/fuzz/run.py TARGET --seconds 1200``.

With atheris (``pip install atheris``), libFuzzer chooses the inputs and looks for new paths through the package.
Without it, or with ``--engine loop``, a seeded generator changes the seeds. Each input that shows a defect is saved
under ``--out``; ``--input FILE`` runs it again and shows the traceback. A summary is printed every 20 s and at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

TARGETS = ("tfrecord", "example", "archive", "documents", "answers", "zarr", "hdf5")
HANG_SECONDS = 60.0  # of wall time for one input; the machine may be busy
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)
Check = Callable[[bytes], bool]


class Hang(BaseException):
    """One input took too long."""


class Session:
    """Runs inputs, counts the outcomes and keeps those that show a defect."""

    def __init__(self, target: str, check: Check, out: Path) -> None:
        self.counts = {"inputs": 0, "right": 0, "refused": 0, "wrong answers": 0, "tracebacks": 0, "hangs": 0}
        self._target, self._check, self._out = target, check, out
        self._worst_seconds = self._worst_rate = 0.0
        self._before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._told = time.monotonic()
        self._began = time.monotonic()
        signal.signal(signal.SIGALRM, self._alarm)

    @staticmethod
    def _alarm(signum: int, frame: FrameType | None) -> None:
        raise Hang

    def run(self, data: bytes) -> None:
        """Run one input. Never raises."""
        from checks import Wrong

        start = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
        try:
            outcome = "right" if self._check(data) else "refused"
        except Wrong:
            outcome = self._keep("wrong answers", data)
        except Hang:
            outcome = self._keep("hangs", data)
        except Exception:
            outcome = self._keep("tracebacks", data)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = time.process_time() - start
        self._worst_seconds = max(self._worst_seconds, seconds)
        self._worst_rate = max(self._worst_rate, seconds / max(len(data), 1 << 16) * 1e6)
        self.counts["inputs"] += 1
        self.counts[outcome] += 1
        if time.monotonic() - self._told > 20:
            self.tell()

    def _keep(self, what: str, data: bytes) -> str:
        """Save an input once for each place in the code."""
        text = traceback.format_exc()
        frames = [f"{one.filename}:{one.lineno}" for one in traceback.extract_tb(sys.exc_info()[2])]
        digest = hashlib.sha256("\n".join(frames[-3:]).encode()).hexdigest()[:12]
        path = self._out / f"{self._target}-{what.replace(' ', '-')}-{digest}"
        if not path.exists():
            path.write_bytes(data)
            path.with_name(f"{path.name}.txt").write_text(text)
            print(f"{path}: {text.splitlines()[-1][:200]}", flush=True)
        return what

    def tell(self) -> None:
        """Write the summary to the folder, and print it."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        summary = {
            "target": self._target, **self.counts, "seconds": round(time.monotonic() - self._began),
            "peak_mb": peak // 1024, "peak_before_mb": self._before // 1024,
            "worst_seconds_of_one_input": round(self._worst_seconds, 3),
            "worst_seconds_a_mb": round(self._worst_rate, 2),
        }  # fmt: skip
        (self._out / f"{self._target}.json").write_text(json.dumps(summary, indent=1) + "\n")
        print(json.dumps(summary), flush=True)
        self._told = time.monotonic()


def mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    """A seed with one to eight changes."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at, n = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 8, 64))
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(data):
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                del data[at : at + n]
            case 3:
                data[at:at] = rng.randbytes(n)
            case 4:
                data[at : at + n] = (rng.choice(NUMBERS) & (1 << 8 * min(n, 8)) - 1).to_bytes(n, "little")
            case 5:
                other = rng.choice(seeds)
                data[at:] = other[rng.randrange(len(other) + 1) :]
            case 6:
                data[at:at] = data[at : at + n]
    return bytes(data)


@contextmanager
def prepared(target: str) -> Iterator[tuple[Check, list[bytes]]]:
    """The check of a target and its seeds, with a folder for its files."""
    import checks
    import more_checks
    import seeds

    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        match target:
            case "tfrecord":
                yield checks.tfrecord, seeds.tfrecords()
            case "example":
                yield checks.example, seeds.examples()
            case "archive":
                yield partial(checks.archive, folder=folder), seeds.archives()
            case "documents":
                yield more_checks.Documents(folder), seeds.documents()
            case "answers":
                yield more_checks.Answers(folder), more_checks.Answers.seeds()
            case _:
                stores = more_checks.Stores(folder, {"zarr": "zarr", "hdf5": "h5"}[target])
                yield stores, stores.seeds()


def loop(session: Session, seeds: list[bytes], seconds: float, seed: int) -> None:
    """Change seeds for a while."""
    rng, end = random.Random(seed), time.monotonic() + seconds
    for one in seeds:
        session.run(one)
    while time.monotonic() < end:
        session.run(mutated(rng, seeds))


def guided(session: Session, seeds: list[bytes], seconds: float, seed: int, corpus: Path) -> None:
    """Let libFuzzer choose the inputs. Does not return: libFuzzer ends the process."""
    import atheris

    corpus.mkdir(parents=True, exist_ok=True)
    for one in seeds:
        (corpus / hashlib.sha256(one).hexdigest()[:16]).write_bytes(one)
    options = [f"-max_total_time={seconds:.0f}", f"-seed={seed}", "-timeout=0", "-handle_alrm=0", "-rss_limit_mb=4096"]
    options += [f"-max_len={max(64 << 10, 2 * max(map(len, seeds)))}", "-print_final_stats=1", "-verbosity=0"]
    options += [f"-artifact_prefix={corpus.parent}/crash-"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], session.run)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=1200, help="how long (default: 1200)")
    parser.add_argument("--seed", type=int, default=1, help="of the generator (default: 1)")
    parser.add_argument("--engine", choices=("auto", "atheris", "loop"), default="auto")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="folder of results (default: build/fuzz)")
    parser.add_argument("--input", type=Path, help="run one file and show what happens")
    asked = parser.parse_args()
    has_atheris = asked.engine != "loop" and _start_atheris(required=asked.engine == "atheris")
    asked.out.mkdir(parents=True, exist_ok=True)
    with prepared(asked.target) as (check, seeds):
        if asked.input:
            print("right" if check(asked.input.read_bytes()) else "refused")
            return
        session = Session(asked.target, check, asked.out)
        if has_atheris:
            guided(session, seeds, asked.seconds, asked.seed, asked.out / f"{asked.target}-corpus")
        loop(session, seeds, asked.seconds, asked.seed)
        session.tell()
    sys.stdout.flush()
    os._exit(0)  # threads of a server may still run


def _start_atheris(*, required: bool) -> bool:
    """Import the package under the eyes of libFuzzer; False if atheris is not installed."""
    try:
        import atheris
    except ImportError:
        if required:
            raise
        return False
    with atheris.instrument_imports(include=["s2ct_convert", "py7zr"]):
        import checks
        import more_checks  # noqa: F401

        del checks
    return True


if __name__ == "__main__":
    main()
