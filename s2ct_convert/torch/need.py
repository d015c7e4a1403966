"""PyTorch, where it is installed."""

from __future__ import annotations

from typing import Any

from ..errors import MissingPackage


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
            todo="install it as pytorch.org says for your machine, or pip install 's2ct-convert[torch]'",
        ) from error
    return torch
