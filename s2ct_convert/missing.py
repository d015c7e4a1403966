"""Values that stand for what a source does not have, in arrays that have no other way to say so."""

from __future__ import annotations

NO_LABEL = -1
NO_LOCALID = -1  # also what the authors' parser gives
NO_DAY = -(2**31)  # `time`, int32 days since 1970-01-01
NO_DATE = -(2**63)  # `date`, int64 as published
