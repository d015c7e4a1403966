"""Zenodo: which files the record has, fetching them, checking them."""
