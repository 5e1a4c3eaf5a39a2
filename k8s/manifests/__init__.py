"""Specs as Kubernetes objects: pure functions from frozen dataclasses to plain dicts, in the order to apply them."""
