"""The driver for Kubernetes: raw JSON over the official client's connections, server-side apply, one field manager."""
