"""Measures a download against ``curl`` and ``md5sum`` on the same files, and its peak memory.

Both download in turn, ``--repeat`` times, from the same loopback server, which sends files as fast as the kernel can.

usage: python scripts/bench_download.py [--size 1GB] [--files 8] [--repeat 3] [--json FILE] [--work DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import http.server
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import bench_input
from bench_report import Row, in_turn, machine, print_report, write_json

RECORD = "4711"
LANES = 3
_CHILD = Path(__file__).with_name("bench_child.py")


class Server(http.server.ThreadingHTTPServer):
    """Serves the description of a record and its files."""

    daemon_threads = True
    folder: Path
    document: bytes


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection; the kernel sends files from the page cache to the socket, without copies in Python."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        if self.path == f"/api/records/{RECORD}":
            self._head(len(self.server.document))
            self.wfile.write(self.server.document)
            return
        with open(self.server.folder / self.path.split("/")[-2], "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._head(size)
            self.wfile.flush()
            sent = 0
            while sent < size:
                sent += os.sendfile(self.connection.fileno(), file.fileno(), sent, size - sent)

    def _head(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(folder: Path, keys: list[str]) -> Server:
    """Start a server of a record with the files of a folder."""
    server = Server(("127.0.0.1", 0), Handler)
    server.folder = folder
    entries = []
    for key in keys:
        with open(folder / key, "rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        entries.append({"key": key, "size": (folder / key).stat().st_size, "checksum": f"md5:{md5}"})
    server.document = json.dumps({"id": int(RECORD), "recid": RECORD, "files": entries}).encode()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=bench_input.parse_size, default="1GB", help="size of all files (default: 1GB)")
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results, with every run, to FILE")
    parser.add_argument("--work", type=Path, metavar="DIR")
    options = parser.parse_args()
    if shutil.which("curl") is None or shutil.which("md5sum") is None:
        sys.exit("not measured: this needs curl and md5sum")
    facts = {**machine(), "size": options.size, "files": options.files, "lanes": LANES, "repeat": options.repeat}
    with tempfile.TemporaryDirectory(dir=options.work, prefix="s2ct-bench-") as work:
        folder, out = Path(work, "served"), Path(work, "out")
        folder.mkdir()
        keys = [f"train_{zone:02}SMG_1.7z" for zone in range(1, options.files + 1)]
        for key in keys:
            (folder / key).write_bytes(os.urandom(options.size // options.files))
        server = serve(folder, keys)
        base = f"http://127.0.0.1:{server.server_address[1]}"
        peaks: list[float] = []

        def fresh() -> None:
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()

        def ours() -> float:
            fresh()
            arguments = ["download", str(out), "--record", RECORD, "--base-url", base, "-q", "-j", str(LANES)]
            command = [sys.executable, "-I", str(_CHILD), "0", sys.executable, "-m", "s2ct_convert", *arguments]
            done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            peaks.append(done["peak_bytes"] / 1e6)
            return float(done["seconds"])

        def curl() -> float:
            fresh()
            urls = [f"{base}/api/records/{RECORD}/files/{key}/content" for key in keys]
            pairs = [word for key, url in zip(keys, urls, strict=True) for word in ("-o", str(out / key), url)]
            began = time.perf_counter()
            fetching = ["curl", "-sfZ", "--no-progress-meter", "--parallel-max", str(LANES), *pairs]
            subprocess.run(fetching, check=True, stderr=subprocess.DEVNULL)
            subprocess.run(["md5sum", *(str(out / key) for key in keys)], check=True, stdout=subprocess.DEVNULL)
            return time.perf_counter() - began

        runs = in_turn(options.repeat, ours=ours, curl=curl)
        server.shutdown()
    mine, theirs = (statistics.median(runs[name]) for name in ("ours", "curl"))
    what = f"download, {options.size / 1e6:.0f} MB in {options.files} files, {LANES} lanes"
    seconds = {f"{name}_seconds": values for name, values in runs.items()}
    rows = [
        Row(what, "curl and md5sum", mine / theirs, ("<", 1.15), f"{mine:.2f} s against {theirs:.2f} s", seconds),
        Row("its peak memory", "120 MB", max(peaks) / 120, ("<", 1), f"{max(peaks):.0f} MB", {"peak_mb": peaks}),
    ]
    print_report(facts, rows)
    if options.json:
        write_json(options.json, facts, rows)


if __name__ == "__main__":
    main()
