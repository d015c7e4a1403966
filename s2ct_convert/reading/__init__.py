"""Stores read fast and alike, Zarr or HDF5: units, samples, selections, epochs."""
