"""Benchmarks of a whole Freehold: `make bench` writes var/bench.json and prints a table."""
