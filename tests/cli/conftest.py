"""``zenodo`` serves a small record; ``hasty`` runs ``s2ct`` with short waits."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from makers import write_archive
from servers.zenodo import StandIn, serving

from .forkserver import ForkServer
from .helpers import RECORDS, right_source


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Like ``run``, with short waits for the network."""
    server = ForkServer(tmp_path_factory.mktemp("hasty"), short_waits=True)
    yield server
    server.close()


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of a small record by name: valid archives and one text file."""
    folder = tmp_path_factory.mktemp("archives")
    files = {"about.txt": b"what this is\n"}
    for unit in ("train_50SMG", "train_51SMG", "val_50SMG"):
        source = right_source(folder, unit)
        assert source.read_bytes() == RECORDS
        files[f"{source.name}.7z"] = write_archive(folder / f"{source.name}.7z", {source.name: RECORDS}).read_bytes()
    return files


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no token, no mirror."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or "ZENODO" in name:
            monkeypatch.delenv(name)


@pytest.fixture
def zenodo(archives: dict[str, bytes], clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A service with these files; ``s2ct`` uses it."""
    with serving(dict(archives)) as stand_in:
        monkeypatch.setenv("S2CT_ZENODO_URL", stand_in.url)
        yield stand_in


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount small file systems in memory."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("only root can mount file systems, and not in every container")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
