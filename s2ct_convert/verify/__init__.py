"""Proof that a store is what it was made from."""
