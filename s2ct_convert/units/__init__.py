"""One unit, from its source to its place in a store: plan, ledger, leases, conversion, finalise."""
