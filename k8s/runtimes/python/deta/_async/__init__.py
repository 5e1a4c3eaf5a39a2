"""What needs aiohttp."""
