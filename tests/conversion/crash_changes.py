"""Kills a conversion that replaces units of a complete store before each durable step, and resumes each time.

Run as a program, with the steps of ``crash_driver.py``:

    crash_changes.py SUFFIX LINKED|WHOLE CHANGED|REVERTED|OVERWRITE STRIDE WORK OLD NEW OTHER

The store was made from OLD and OTHER. With CHANGED, NEW replaces OLD under the same name, and the same command runs;
with REVERTED, OLD comes back after the kill; with OVERWRITE, ``--overwrite`` makes the store again with another codec.
Prints the number of steps, or what was wrong and at which step.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from crash_driver import content, die_before, in_child

import s2ct_convert
from s2ct_convert.errors import S2ctError

OTHER_CODEC = {"zarr": "fast", "h5": "blosc"}


def whole(store: Path) -> bool:
    """Whether the store opens as complete; then every observation must be readable."""
    try:
        opened = s2ct_convert.open_store(store)
    except S2ctError:
        return False
    with opened:
        for unit in opened.units.values():
            for localid in unit.localid.tolist():
                unit.sample(localid)
    return True


def main() -> None:
    suffix, linked, how = sys.argv[1], sys.argv[2] == "linked", sys.argv[3]
    overwrite = how == "overwrite"
    stride, work, (old, new, other) = int(sys.argv[4]), Path(sys.argv[5]), sys.argv[6:]
    os.environ["SOURCE_DATE_EPOCH"] = "86400"
    before, undisturbed, store = (work / name / f"x.{suffix}" for name in ("before", "undisturbed", "crashed"))
    sources = [new, other]

    def convert(to: Path, sources: list[str] = sources, *, overwrite: bool = False, codec: str | None = None) -> None:
        to.parent.mkdir(parents=True, exist_ok=True)
        here = work / "in" / Path(old).name  # OLD or NEW
        here.parent.mkdir(exist_ok=True)
        shutil.copy2(sources[0], here)
        s2ct_convert.convert(
            [here, sources[1]], to, linked=linked, overwrite=overwrite, codec=codec, command="s2ct convert in x"
        )

    codec = OTHER_CODEC[suffix] if overwrite else None
    assert in_child(lambda: convert(before, [old, other])) == 0
    assert in_child(lambda: convert(undisturbed, codec=codec)) == 0
    new_content, was = content(undisturbed), content(before)
    assert new_content != was
    right = was if how == "reverted" else new_content

    def crash() -> None:
        shutil.copytree(before.parent, store.parent)
        die_before(step)
        convert(store, overwrite=overwrite, codec=codec)

    def resume() -> None:
        if whole(store):
            found = content(store)
            assert found.items() >= new_content.items() or found.items() >= was.items(), "complete, but neither store"
        convert(store, [old, other] if how == "reverted" else sources, overwrite=overwrite, codec=codec)
        assert content(store) == right, "resuming gave another store"
        strays = {path.name for path in store.parent.iterdir()} - {path.name for path in undisturbed.parent.iterdir()}
        assert not strays, f"left behind: {strays}"

    step, wrong = 1, []
    while True:
        shutil.rmtree(store.parent, ignore_errors=True)
        status = in_child(crash)
        if in_child(resume):
            wrong.append(step)
        if not os.WIFSIGNALED(status):
            break
        step += stride
    assert os.waitstatus_to_exitcode(status) == 0
    if wrong:
        sys.exit(f"after a kill before steps {wrong}")
    print(step)


if __name__ == "__main__":
    main()
