"""Draws pictures of a store: the series of one sample, or an overview of the whole store."""
