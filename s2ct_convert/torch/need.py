"""Imports PyTorch, or raises an error that says how to install it."""

from __future__ import annotations

from typing import Any

from ..errors import MissingPackage
from ..version import install_advice


def need_torch() -> Any:
    """The torch module.

    Raises
    ------
    MissingPackage
        If PyTorch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingPackage(
            "this needs PyTorch",
            todo=f"{install_advice('torch')}, or see pytorch.org for your machine",
        ) from error
    return torch
