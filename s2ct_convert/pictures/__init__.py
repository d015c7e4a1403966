"""Pictures of a store: the series of a sample, and an overview of everything."""
