"""The version of this package, and how to install its extras; everything else reads them from here."""

__version__ = "1.0.0"


def install_advice(extra: str) -> str:
    """The command that installs an extra such as ``plot``, for messages. No registry has this package yet."""
    return f"pip install '.[{extra}]' in a clone of s2ct"
