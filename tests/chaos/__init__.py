"""Real processes of a running Freehold are killed in the middle of real work."""
