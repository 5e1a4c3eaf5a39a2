"""The server for Python apps that bring none: `python3 -m freehold_server main:app`."""
