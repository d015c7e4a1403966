"""Verification of stores and sources."""
