"""Runs everything on one machine: starts, watches, restarts and stops Freehold's own processes. Imports no Django."""
