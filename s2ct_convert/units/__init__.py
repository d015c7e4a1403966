"""One unit, from its source to its place in a store: the plan, the ledger, leases, making it, finalising."""
