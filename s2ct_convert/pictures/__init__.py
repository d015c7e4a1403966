"""Pictures of a store: the series of a sample, and a summary of everything."""
