"""Whether a micro is well: it accepts connections, or answers the path that its Spacefile names."""

import asyncio
import contextlib

from k8s.specs import PROBING

_CONNECT_S = 1.0
_STATUS_BYTES = 64


async def accepts(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def answers(address: str, port: int, path: str, host: str) -> bool:
    """Whether GET `path` is answered with 200 to 399 in time. host: that of the app, which some look at."""
    writer = None
    try:
        async with asyncio.timeout(PROBING.timeout_s):
            reader, writer = await asyncio.open_connection(address, port)
            head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: freehold-health\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            words = (await reader.read(_STATUS_BYTES)).split(None, 2)
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            with contextlib.suppress(OSError):
                writer.close()
    return len(words) > 1 and words[0].startswith(b"HTTP/") and words[1][:1] in (b"2", b"3") and len(words[1]) == 3
