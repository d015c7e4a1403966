"""Any input gives the right answer or an error with a place: the checks of scripts/fuzz, with inputs of hypothesis."""

from __future__ import annotations

import importlib
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FUZZ = Path(__file__).resolve().parents[1] / "scripts" / "fuzz"
TARGETS = ("tfrecord", "example", "archive", "documents", "answers", "zarr", "hdf5")
FEW = settings(
    max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MANY = settings(FEW, max_examples=2000)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("md5:" + "0" * 32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["files", "entries", "key", "size", "checksum", "s2ct_lock", "record", "units", "unit", "host", "pid", "md5"]
    ), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
lines = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK", b"HTTP/1.1 206 Partial", b"HTTP/1.1 302 Found", b"HTTP/1.1 429 Late", b"HTTP/1.1 9999 ?"),
        *(b"Content-Length: 256", b"Content-Length: -1", b"Content-Range: bytes 1-9/10", b"Location: "),
        *(b"Retry-After: 1", b"Transfer-Encoding: chunked", b"Content-Encoding: gzip", b"", b"\0", b"5", b"x" * 300),
    ]
)
numbers = st.sampled_from([0, 1, 2, 3, 0x7F, 0x80, 0xFF, 1 << 31, 1 << 40, (1 << 64) - 1]) | st.integers(0, 1 << 64)


def seven_zip_number(value: int) -> bytes:
    return b"\xff" + struct.pack("<Q", value & (1 << 64) - 1) if value > 0x7F else bytes([value])


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """A .7z whose checksums fit and whose header is made of valid ids and any numbers."""
    ids = st.sampled_from([bytes([one]) for one in range(0x1A)])
    coder = st.sampled_from([b"\x01\x00", b"\x21\x21\x01\x18", b"\x23\x03\x01\x01\x05\x5d\x00\x00\x10\x00"])
    parts = draw(st.lists(ids | numbers.map(seven_zip_number) | coder | st.binary(max_size=6), max_size=40))
    packed, header = draw(st.binary(max_size=40)), b"\x01\x04\x06" + b"".join(parts)
    start = struct.pack("<QQI", len(packed), len(header), zlib.crc32(header))
    return b"\0" + b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + packed + header


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    sys.path.insert(0, str(FUZZ))
    try:
        return importlib.import_module("run")
    finally:
        sys.path.remove(str(FUZZ))


@pytest.fixture(scope="module")
def prepared(fuzz):
    """The check and the seeds of a target."""
    open_targets = {}

    def get(target: str):
        if target not in open_targets:
            sys.path.insert(0, str(FUZZ))
            context = fuzz.prepared(target)
            open_targets[target] = (context, context.__enter__())
            sys.path.remove(str(FUZZ))
        return open_targets[target][1]

    yield get
    for context, _ in open_targets.values():
        context.__exit__(None, None, None)


def try_all(fuzz, prepared, target: str, n: int) -> None:
    """The seeds, of which some must be right, then ``n`` changed ones."""
    check, seeds = prepared(target)
    few = seeds if n > 1000 else seeds[:: max(1, len(seeds) // 12)]
    unchanged = [b""] if target in ("zarr", "hdf5") else []  # their seeds are changes of a store
    assert sum(check(one) for one in [*unchanged, *few])
    rng = random.Random(5)
    for _ in range(n):
        check(fuzz.mutated(rng, seeds))


@pytest.mark.parametrize("target", ["tfrecord", "example", "archive", "documents"])
def test_a_changed_input_is_right_or_refused(fuzz, prepared, target):
    try_all(fuzz, prepared, target, 10 if target == "archive" else 60)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_many_changed_inputs_are_right_or_refused(fuzz, prepared, target):
    try_all(fuzz, prepared, target, 2000 if target in ("tfrecord", "example", "documents") else 300)


@pytest.mark.slow
def test_any_payload_and_any_json_is_right_or_refused(prepared):
    import json

    example, documents = prepared("example")[0], prepared("documents")[0]

    @FEW
    @given(st.binary(max_size=60), json_values, st.integers(0, 255))
    def ask(payload, value, reader):
        example(payload)
        documents(bytes([reader]) + json.dumps(value).encode("utf-8", "surrogatepass"))

    ask()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["tfrecord", "example", "archive", "documents", "answers"])
def test_inputs_with_structure_are_right_or_refused(prepared, target):
    import json

    check = prepared(target)[0]
    documents = st.tuples(st.integers(0, 255), json_values).map(
        lambda one: bytes(one[:1]) + json.dumps(one[1]).encode()
    )
    records = st.lists(st.binary(max_size=40), max_size=5).map(
        lambda all_: b"\1" + b"".join(struct.pack("<Q", len(one)) + bytes(4) + one + bytes(4) for one in all_)
    )
    answers = st.lists(st.lists(lines, max_size=8).map(b"\r\n".join), max_size=4).map(b"\xff\xff".join)
    given_ = {"tfrecord": records, "archive": headers(), "documents": documents, "answers": answers}
    strategy = given_.get(target, st.binary(max_size=200))

    @settings(MANY, max_examples=200 if target == "answers" else 2000)
    @given(strategy)
    def ask(data):
        check(data)

    ask()


def test_a_check_finds_a_wrong_answer(prepared, fuzz, monkeypatch, tmp_path):
    """A reader that loses a record is a wrong answer, and the input is saved."""
    check, seeds = prepared("tfrecord")
    checks = sys.modules["checks"]
    right = checks.read_raw_records
    monkeypatch.setattr(checks, "read_raw_records", lambda *a, **k: list(right(*a, **k))[:-1])
    session = fuzz.Session("tfrecord", check, tmp_path)
    session.run(seeds[0])
    assert session.counts["wrong answers"] == 1
    assert [one.read_bytes() for one in tmp_path.iterdir() if not one.suffix] == [seeds[0]]


@pytest.mark.slow
def test_the_command_prints_a_summary(tmp_path):
    command = [sys.executable, FUZZ / "run.py", "tfrecord", "--engine", "loop", "--seconds", "1", "--out", tmp_path]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '"wrong answers": 0, "tracebacks": 0, "hangs": 0' in done.stdout
