"""Measures reading a store in a bucket against tensorstore and zarr-python with obstore, in one run.

The service is Ceph's gateway or moto on a loopback socket, behind a relay that counts requests and delays each of them,
as distance does. Random samples are read behind the delay, an epoch without it. Each run opens the store anew; the time
to open it is not measured.

usage: python scripts/bench_cloud.py [--service ceph] [--size 100MB] [--delay 30] [--samples 20] [--repeat 5]
       [--json FILE] [--work DIR]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bench_input
import numpy as np
import pytest
from bench_report import Row, in_turn, machine, print_report, write_json

import s2ct_convert
from s2ct_convert.objects import service as clients
from s2ct_convert.reading.epoch import read_epoch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from servers.relay import Relay, relayed
from servers.services import SERVICES, Service

NO_TENSORSTORE = "not measured: tensorstore is not installed"
ADDRESS, UNIT = "s3://bucket/bench.zarr", "train/50SMG"


class Readers:
    """Three readers of the images of one unit, through a relay. Each method opens anew, and returns what reads."""

    def __init__(self, service: Service, relay: Relay, unit: str) -> None:
        self.service, self.relay, self.unit = service, relay, unit
        self.keys = {
            name: service.environment[f"AWS_{name.upper()}"] for name in ("access_key_id", "secret_access_key")
        }

    def ours(self) -> tuple[s2ct_convert.Store, s2ct_convert.Unit]:
        store = s2ct_convert.open_store(ADDRESS)
        unit = store[self.unit]
        for name in unit:
            if name != "image":
                unit[name]
        return store, unit

    def tensorstore(self) -> Any:
        import tensorstore

        place = {"driver": "s3", "bucket": "bucket", "endpoint": self.relay.url, "aws_region": "us-east-1"}
        place |= {"path": f"bench.zarr/{self.unit}/image/", "aws_credentials": {"type": "environment"}}
        return tensorstore.open({"driver": "zarr3", "kvstore": place}, read=True).result()

    def zarr_python(self) -> Any:
        import zarr
        from obstore.store import S3Store
        from zarr.storage import ObjectStore

        options = {"endpoint": self.relay.url, "client_options": {"allow_http": True}, **self.keys}
        store = ObjectStore(S3Store("bucket", prefix="bench.zarr", **options), read_only=True)
        return zarr.open_array(store, path=f"{self.unit}/image", mode="r")


def measured(open_it: Callable[[], Any], read: Callable[[Any], object], relay: Relay, asked: list[int]) -> float:
    """Seconds of ``read`` on what ``open_it`` returns; the number of its requests goes to ``asked``."""
    opened, before = open_it(), len(relay.requests)
    began = time.perf_counter()
    read(opened)
    seconds = time.perf_counter() - began
    asked.append(len(relay.requests) - before)
    return seconds


def random_samples(readers: Readers, rows: Sequence[slice], ids: Sequence[int], repeat: int) -> Iterator[Row]:
    """Random samples at once, behind the delay."""
    relay, asked = readers.relay, {name: list[int]() for name in ("s2ct", "tensorstore", "zarr-python")}
    measures = {
        "s2ct": lambda: measured(readers.ours, lambda it: it[1].samples(ids), relay, asked["s2ct"]),
        "zarr-python": lambda: measured(
            readers.zarr_python, lambda array: [array[one] for one in rows], relay, asked["zarr-python"]
        ),
    }
    if importlib.util.find_spec("tensorstore"):
        measures["tensorstore"] = lambda: measured(
            readers.tensorstore,
            lambda array: [one.result() for one in [array[row].read() for row in rows]],
            relay,
            asked["tensorstore"],
        )
    runs = in_turn(repeat, **measures)
    median = {name: statistics.median(values) for name, values in runs.items()}
    what = f"{len(rows)} random samples behind {relay.delay * 1e3:.0f} ms"

    def row(peer: str, ratio: float, target: tuple[str, float], unit: str) -> Row:
        detail = f"{unit}; {median['s2ct'] * 1e3:.0f} against {median[peer] * 1e3:.0f} ms, "
        detail += f"{statistics.median(asked['s2ct']):.0f} against {statistics.median(asked[peer]):.0f} requests"
        return Row(what, peer, ratio, target, detail, {f"{one} s": runs[one] for one in ("s2ct", peer)})

    if "tensorstore" in runs:
        yield row("tensorstore", median["s2ct"] / median["tensorstore"], ("<=", 1.5), "time")
    else:
        yield Row(what, "tensorstore", target=("<=", 1.5), detail=NO_TENSORSTORE)
    yield row("zarr-python", median["zarr-python"] / median["s2ct"], (">=", 8.0), "speed")


def shuffled_epoch(readers: Readers, repeat: int) -> Iterator[Row]:
    """Every sample once in shuffled order, without a delay, against the whole array of images."""
    relay, asked = readers.relay, {name: list[int]() for name in ("s2ct", "zarr-python")}

    def epoch(it: tuple[s2ct_convert.Store, s2ct_convert.Unit]) -> None:
        for _ in read_epoch(it[0], it[0].samples):
            pass

    runs = in_turn(
        repeat,
        **{
            "s2ct": lambda: measured(readers.ours, epoch, relay, asked["s2ct"]),
            "zarr-python": lambda: measured(readers.zarr_python, lambda array: array[...], relay, asked["zarr-python"]),
        },
    )
    median = {name: statistics.median(values) for name, values in runs.items()}
    detail = f"speed; {median['s2ct'] * 1e3:.0f} against {median['zarr-python'] * 1e3:.0f} ms, "
    detail += " against ".join(f"{statistics.median(asked[name]):.0f}" for name in asked) + " requests"
    kept = {f"{name} s": values for name, values in runs.items()}
    ratio = median["zarr-python"] / median["s2ct"]
    yield Row("shuffled epoch, no delay", "zarr-python, whole array", ratio, (">=", 0.9), detail, kept)


def compared(service: Service, source: Path, given: argparse.Namespace) -> list[Row]:
    """All rows, on a service with an empty bucket."""
    os.environ.update(service.environment)
    s2ct_convert.convert([source], ADDRESS, scratch=source.parent / "scratch")
    with relayed(service.port) as relay:
        os.environ.update({name: value.replace(service.url, relay.url) for name, value in service.environment.items()})
        clients._client.cache_clear()
        readers = Readers(service, relay, UNIT)
        unit = readers.ours()[1]
        ids = np.random.default_rng(0).permutation(unit.localid)[: given.samples].tolist()
        rows = [unit.rows(one) for one in ids]
        relay.delay = given.delay / 1e3
        samples = list(random_samples(readers, rows, ids, given.repeat))
        relay.delay = 0.0
        return [*samples, *shuffled_epoch(readers, given.repeat)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--service", choices=["ceph", "moto"], default="ceph", help="the service (default: ceph)")
    parser.add_argument(
        "--size", type=bench_input.parse_size, default="100MB", help="size of the source (default: 100MB)"
    )
    parser.add_argument("--delay", type=float, default=30, metavar="MS", help="delay of a request (default: 30)")
    parser.add_argument("--samples", type=int, default=20, metavar="N", help="random samples (default: 20)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="runs of each side (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results, with every run, to FILE")
    parser.add_argument("--work", type=Path, metavar="DIR", help="a folder for the source and the service")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        source = bench_input.make_input(Path(folder) / "source", given.size)
        (Path(folder) / "service").mkdir()
        try:
            with SERVICES[given.service](Path(folder) / "service") as service:
                rows = compared(service, source, given)
        except pytest.skip.Exception as missing:
            sys.exit(f"not measured: {missing}")
        facts = {**machine(), "command": " ".join(["python", *sys.argv]), "pixels": bench_input.pixels()}
        facts |= {"source_bytes": source.stat().st_size, "service": given.service}
    print_report(facts, rows)
    if given.json:
        write_json(given.json, facts, rows)


if __name__ == "__main__":
    main()
