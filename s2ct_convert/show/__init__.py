"""Output for people: progress, tables, summaries."""
