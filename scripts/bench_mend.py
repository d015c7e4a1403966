"""Measures what mending a damaged download costs in requests and bytes. It measures no times.

An archive is served on a loopback socket. A damaged copy of it is repaired with ``s2ct_convert.download``.

usage: python scripts/bench_mend.py [--examples 28] [--json FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import s2ct_convert

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from makers import random_group, tfrecord_bytes
from servers.zenodo import RECORD, serving

NAME = "train_50SMG_28.7z"
# An archive as 7-Zip packs it, and the number of LZMA2 blocks; 0: LZMA, which has none.
PACKINGS = {"LZMA2, 1 block": "-m0=LZMA2:d=32m", "LZMA2, 7 blocks": "-m0=LZMA2:d=1m:c=4m", "LZMA": "-m0=LZMA"}


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def replace(data: bytes, new: bytes, at: int) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def noise(data: bytes, size: int) -> bytes:
    return replace(data, np.random.default_rng(6).bytes(size), len(data) // 2)


def end_header(data: bytes) -> bytes:
    return data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "1 bit": flip,
    "4 KiB zeroed": lambda data: replace(data, bytes(4096), len(data) // 2),
    "200 kB of noise": lambda data: noise(data, 200_000),
    "two places": lambda data: replace(flip(data), bytes(4096), len(data) // 5),
    "a byte missing at 90 %": lambda data: data[: len(data) * 9 // 10] + data[len(data) * 9 // 10 + 1 :],
    "a byte too many at 90 %": lambda data: data[: len(data) * 9 // 10] + b"?" + data[len(data) * 9 // 10 :],
    "last 10 % zeroed": lambda data: replace(data, bytes(len(data) // 10), len(data) - len(data) // 10),
    "start header": lambda data: bytes(32) + data[32:],
    "end header": end_header,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=28, help="of 70 images, 1 MB each (default: 28)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")
    options = parser.parse_args()
    program = shutil.which("7zz") or shutil.which("7z")
    if program is None:
        sys.exit("not measured: this needs 7-Zip")
    rows = []
    with tempfile.TemporaryDirectory(prefix="s2ct-bench-") as work:
        rng = np.random.default_rng(31)
        source = Path(work, NAME.removesuffix(".7z"))
        source.write_bytes(tfrecord_bytes([random_group(rng, localid, 70) for localid in range(options.examples)]))
        for packing, method in PACKINGS.items():
            archive = Path(work, "served", NAME)
            archive.unlink(missing_ok=True)
            command = [program, "a", "-mx=1", method, str(archive), str(source)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            data = archive.read_bytes()
            for name, damage in DAMAGES.items():
                folder = Path(work, "here")
                folder.mkdir()
                rows.append({"damage": name, "archive": packing, **repair(folder, data, damage(data))})
                shutil.rmtree(folder)
    print("| damage | archive | requests | bytes | md5 right |\n|---|---|---|---|---|")
    for row in rows:
        share = f"{row['bytes']:,} ({row['bytes'] / row['size']:.1%})".replace("%", " %")
        print(f"| {row['damage']} | {row['archive']} | {row['requests']} | {share} | {row['right']} |")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def repair(folder: Path, data: bytes, damaged: bytes) -> dict[str, Any]:
    """Repair a damaged file in a folder. Returns the requests for the file, the bytes sent, and whether it is right."""
    (folder / NAME).write_bytes(damaged)
    with serving({NAME: data}) as zenodo:
        s2ct_convert.download(folder, record=RECORD, base_url=zenodo.url, repair=True)
        requests, sent = len(zenodo.asked(NAME)), zenodo.sent
    md5 = hashlib.md5((folder / NAME).read_bytes()).hexdigest()
    right = "yes" if md5 == hashlib.md5(data).hexdigest() else "NO"
    return {"requests": requests, "bytes": sent, "size": len(data), "right": right}


if __name__ == "__main__":
    main()
