"""Labelled Sentinel-2 cloud time series, from 7z-packed TFRecords to Zarr and HDF5.

The names here do everything that the command line does.
"""

import lazy_loader

from .version import __version__ as __version__

# Names load on first use, so that `s2ct --help` does not import numpy, zarr and h5py. __init__.pyi lists them (SPEC 1).
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
