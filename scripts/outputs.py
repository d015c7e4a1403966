"""Prints the output of every command on the bundled sample, for good and bad input, to compare two versions.

python scripts/outputs.py > after.txt
PYTHONPATH=/path/to/another/version python scripts/outputs.py > before.txt
diff --side-by-side --width=200 before.txt after.txt
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import s2ct_convert

COMMANDS = """
--help
demo demo
info archives
info archives/train_34VFN_5.7z
plan archives x.zarr -j 2
convert archives x.zarr -j 1
convert archives x.zarr -j 1
convert archives x.h5 -j 1 --tile 31TCJ
convert archives y.zarr --tile 50SMG
convert none x.zarr
convert cut y.zarr -j 1
convert archives y.zarr -j 1 --strict
convert cut.7z z.zarr -j 1 --as test/50SMG
convert other x.zarr -j 1
info x.zarr
info y.zarr
info x.h5
info none
verify store x.zarr
verify store y.zarr
verify store x.zarr --fraction 0.5
verify store x.zarr --against archives
verify store flipped.zarr
verify store none.zarr
verify store archives
verify sources archives
verify sources cut
verify checksums archives
export x.zarr back
export x.zarr back --tile 50SMG
export x.zarr snow --to parquet --label snow
export x.zarr snow --to parquet --label snow
export x.zarr fog --to parquet --label fog
export x.zarr index --to parquet --index
export x.zarr shards --to webdataset
export x.zarr nc --to netcdf --tile 31TCJ
export flipped.zarr damaged --to webdataset
extract archives/train_34VFN_5.7z out
extract archives/train_34VFN_5.7z out
extract cut.7z out
batch init archives b.zarr
batch status b.zarr
batch run b.zarr 1-2
batch status b.zarr
batch finalise b.zarr
batch finalise b.zarr --partial
batch run b.zarr 1-4
batch finalise b.zarr
batch status b.zarr
batch init cut c.zarr
batch run none.zarr 1
croissant x.zarr
preview x.zarr --tile 31TCJ -o a.png
preview x.zarr --summary -o b.png
preview x.zarr --tile 99ZZZ -o c.png
list --record nonsense
covnert archives x.zarr
convert archives x.zarr --codec best
"""


def main() -> None:
    """Run the commands one after another in an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        for line in COMMANDS.split("\n"):
            if line:
                _show(line, folder)


def _prepare(folder: Path) -> None:
    for place in ("archives", "cut", "other"):
        (folder / place).mkdir()
    sources = sorted(s2ct_convert.sample_sources())
    for source in sources:
        shutil.copy(source, folder / "archives")
    for source in sources[1:]:
        shutil.copy(source, folder / "cut")
    cut = sources[0].read_bytes()[:-100]
    (folder / "cut" / sources[0].name).write_bytes(cut)
    (folder / "cut.7z").write_bytes(cut)
    shutil.copy(sources[1], folder / "other" / sources[0].name)


def _show(line: str, folder: Path) -> None:
    if "flipped.zarr" in line:
        shutil.copytree(folder / "x.zarr", folder / "flipped.zarr")
        shard = max(
            (folder / "flipped.zarr").rglob("c/*"), key=lambda path: path.stat().st_size if path.is_file() else 0
        )
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
    command = [sys.executable, "-m", "s2ct_convert", *shlex.split(line)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    print(f"$ s2ct {line}    [exit code {done.returncode}]")
    for text in (done.stdout, done.stderr):
        if text:
            print(_steady(text.replace(str(folder), "."), folder).rstrip())
    print()


def _steady(text: str, folder: Path) -> str:
    """Replace values that differ from run to run: times, rates, free space."""
    text = re.sub(r"\d[\d,.]* (?=s\b)", "N ", text)
    text = re.sub(r"\d[\d,.]* [kMGT]?B/s", "N MB/s", text)
    return re.sub(r"\d[\d,.]* ([kMGT]B )?free", "N free", text)


if __name__ == "__main__":
    main()
