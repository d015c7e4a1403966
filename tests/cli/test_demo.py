from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import s2ct_convert


@pytest.mark.slow
def test_the_demo_makes_and_verifies_both_stores_also_a_second_time(run, tmp_path):
    for _ in range(2):
        done = run("demo", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "md5 correct; nothing is downloaded" in done.stdout
        assert done.stdout.count("all 309 observations of 14 examples match the archives bit for bit") == 2
        assert "both stores have the content digest sha256:" in done.stdout
        assert "31TCJ" in done.stdout
    digests = set()
    for name in ("sample.zarr", "sample.h5"):
        with s2ct_convert.open_store(tmp_path / "s2ct-demo" / name) as store:
            assert store.complete
            digests.add(store.digest)
    assert len(digests) == 1
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"both stores have the content digest {digests.pop()}\n" in readme


@pytest.mark.slow
def test_the_commands_that_the_demo_prints_work(run, tmp_path):
    import shlex
    import subprocess

    text = run("demo", "there", cwd=tmp_path).stdout.partition("Open them:\n")[2]
    commands = [shlex.split(line) for line in text.splitlines() if line.strip()]
    assert [Path(command[0]).name for command in commands] == ["python", "python", "s2ct"]
    for command in commands:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_the_demo_does_not_delete_other_files(run, tmp_path):
    thing = tmp_path / "s2ct-demo" / "sample.zarr" / "thesis.tex"
    thing.parent.mkdir(parents=True)
    thing.write_bytes(b"years of work")
    done = run("demo", cwd=tmp_path)
    assert done.returncode == 2
    assert thing.read_bytes() == b"years of work"


def test_the_sample_is_small_and_varied():
    sources = s2ct_convert.sample_sources()
    assert sum(source.stat().st_size for source in sources) <= 3_000_000
    names = [source.name.split("_") for source in sources]
    assert {name[0] for name in names} == {"train", "val"}
    assert len({name[1] for name in names}) == 2
    per_sample: dict[tuple[str, int], int] = {}
    for source in sources:
        for example in s2ct_convert.read_examples(source):
            key = (source.name, int(example["localid"]))
            per_sample[key] = per_sample.get(key, 0) + len(example["dates"])
    assert max(per_sample.values()) > 100
    assert json.dumps(sorted({name[1] for name in names})) == '["31TCJ", "34VFN"]'


@pytest.mark.slow
def test_the_demo_and_info_give_a_store_the_same_size(run, tmp_path):
    shown = re.findall(r"sample\.(?:zarr|h5): ([\d.]+ MB);", run("demo", cwd=tmp_path).stdout)
    stores = [run("info", f"s2ct-demo/sample.{suffix}", cwd=tmp_path).stdout for suffix in ("zarr", "h5")]
    assert shown == [re.search(r"^size +(.+)$", text, re.MULTILINE)[1] for text in stores]
