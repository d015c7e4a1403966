"""Three new users go through s2ct, each in a plain shell script that a reader can follow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT, blocks

HERE = Path(__file__).parent
NO_NETWORK = ["unshare", "--map-root-user", "--net", "--mount"]  # with mounts of its own, for a small disk


def isolated() -> list[str]:
    """A prefix that takes the network away; nothing where the system does not allow it."""
    allowed = shutil.which("unshare") and subprocess.run([*NO_NETWORK, "true"], capture_output=True).returncode == 0
    return NO_NETWORK if allowed else []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("walk", ["student", "cluster", "engineer"])
def test_a_new_user_gets_through(walk, tmp_path):
    (tmp_path / "README.py").write_text(blocks(ROOT / "README.md", "python")[0].code, encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = [*isolated(), "bash", str(HERE / f"{walk}.sh")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
