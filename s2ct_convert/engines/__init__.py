"""Engines run units: on this machine, or on the workers of a Dask scheduler."""
