"""From sources to a store: plan, one unit, ledger, finalise, and the engine that runs units."""
