"""``s2ct demo``."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
from pathlib import Path

import click

from . import options


@click.command(short_help="Try s2ct on a small bundled sample.")
@click.argument("destination", type=options.ANY_PATH, default="s2ct-demo", metavar="[DEST]")
@options.jobs
@options.progress
def demo(destination: Path, jobs: int | None, quiet: bool, verbose: bool) -> None:
    """Convert a small bundled sample to Zarr and HDF5, verify both stores, and show the result.

    The stores are written to DEST (default: s2ct-demo in this folder); stores of an earlier demo are replaced. The
    sample is synthetic: it was made like the dataset, not taken from it.
    """
    from ..conversion.convert import convert
    from ..conversion.describe import describe
    from ..errors import Difference
    from ..reading.opening import open_store
    from ..record.checksums import Check, check_files
    from ..record.manifest import read_manifest
    from ..sample import sample_md5sums, sample_sources
    from ..show.info import print_units
    from ..show.progress import show_progress
    from ..show.tables import print_lines
    from ..verify.against import verify_against
    from ..version import install_advice
    from ..words import plural, size

    sources = sample_sources()
    if wrong := [c for c in check_files(sources, manifest=read_manifest(sample_md5sums())) if c.state is not Check.OK]:
        raise Difference("the bundled archives are damaged: install s2ct-convert again", where=str(wrong[0].path))
    read = size(sum(source.stat().st_size for source in sources))
    print_lines(
        [f"{plural(len(sources), 'archive')} of the bundled sample, {read}, md5 correct; nothing is downloaded"]
    )
    stores = (destination / "sample.zarr", destination / "sample.h5")
    for path in stores:
        with show_progress(quiet=quiet, verbose=verbose) as on_event:
            convert(sources, path, jobs=jobs or options.available_cores(), overwrite=True, on_event=on_event)
        with open_store(path) as store:
            compared = verify_against(store, sources)
        if differences := [str(line) for unit in compared for line in unit.differences]:
            raise Difference("\n".join(differences), where=str(path))
        examples = sum(unit.examples for unit in compared)
        observations = sum(unit.observations for unit in compared)
        all_ = f"all {observations:,} observations of {examples} examples match the archives bit for bit"
        print_lines([f"{path}: {size(describe(path)['bytes'])}; {all_}"])
    document = describe(stores[0])
    print()
    print_lines([f"both stores have the content digest {document['digest']}"])
    print()
    print_units(document["units"])
    unit, zarr = document["units"][0], str(stores[0])
    group = f"{unit['split']}/{unit['tile']}"
    print("\nOpen them:")
    python, s2ct = _program("python"), _program("s2ct")
    for command in (
        [python, "-c", f"import s2ct_convert; print(s2ct_convert.open_store({zarr!r}))"],
        [python, "-c", f"import xarray; print(xarray.open_zarr({zarr!r}, group={group!r}))"],
        [s2ct, "info", str(stores[1])],
    ):
        print(f"  {_shell(command)}")
    if importlib.util.find_spec("xarray") is None:
        print(f"xarray is not installed: {install_advice('xarray')}")


def _program(name: str) -> str:
    """The name or path under which a program of this environment can be run from this folder."""
    path = Path(sys.executable).with_name(name)
    if not path.exists() or shutil.which(name) == str(path):
        return name
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _shell(command: list[str]) -> str:
    """Quote a command for a shell, with double quotes where possible: Python code contains single quotes."""
    return " ".join(
        f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word) for word in command
    )
