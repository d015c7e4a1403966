"""``python short_waits.py ARGUMENTS``: ``s2ct`` with waits of tenths of a second instead of minutes."""

from __future__ import annotations

import dataclasses

WAITS = {"attempts": 3, "backoff": 0.01, "longest": 0.02, "connect": 5.0, "stall": 1.2, "slow_window": 1.2}
IDLE_SECONDS = 0.3
TOTAL_EVERY = 0.05


def shorten() -> None:
    """Change the defaults of the retry policy; no code is replaced."""
    from s2ct_convert.record import others, watch
    from s2ct_convert.record.policy import RetryPolicy
    from s2ct_convert.show import board

    defaults = {field.name: field.default for field in dataclasses.fields(RetryPolicy)}
    assert WAITS.keys() <= defaults.keys()
    RetryPolicy.__init__.__defaults__ = tuple({**defaults, **WAITS}.values())
    watch.IDLE_SECONDS, board.LINE_EVERY, others.WATCH_SECONDS = IDLE_SECONDS, TOTAL_EVERY, 0.02


if __name__ == "__main__":
    from s2ct_convert.cli import main

    shorten()
    main()
