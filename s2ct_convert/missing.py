"""Values that mark missing entries in arrays."""

from __future__ import annotations

NO_LABEL = -1
NO_LOCALID = -1  # the authors' parser returns the same
NO_DAY = -(2**31)  # `time`, int32 days since 1970-01-01
NO_DATE = -(2**63)  # `date`, int64 as published
NO_NUMBER = -1  # `example`, of an observation whose example has no known number in its damaged source
