"""Zenodo: list, fetch and check the files of a record."""
