"""The `deta` module of Python apps: Base and Drive of the collection that DETA_PROJECT_KEY opens.

The names and answers are those of the public SDK, which is on no package index any more, so that apps written for it run as
they are. The code is ours.
"""

from typing import TYPE_CHECKING, Any, NoReturn

from .base import FetchResponse, Util, _Base
from .drive import DriveStreamingBody, _Drive
from .utils import key_and_id

if TYPE_CHECKING:
    from ._async.client import _AsyncBase

__version__ = "1.2.0"
__all__ = ["Base", "Deta", "Drive", "DriveStreamingBody", "FetchResponse", "Util", "send_email"]

try:
    import aiohttp as _aiohttp
except ImportError:
    _aiohttp = None  # type: ignore[assignment]


class Deta:
    """project_key: else the environment's. project_id: else the key's part before the underscore."""

    def __init__(self, project_key: str | None = None, *, project_id: str | None = None) -> None:
        self.project_key, self.project_id = key_and_id(project_key, project_id)

    def Base(self, name: str, host: str | None = None) -> _Base:  # noqa: N802 - the SDK's name
        return _Base(name, self.project_key, self.project_id, host)

    def AsyncBase(self, name: str, host: str | None = None, session: Any = None) -> "_AsyncBase":  # noqa: N802
        """Raises ImportError where aiohttp is not installed."""
        from ._async.client import _AsyncBase

        return _AsyncBase(name, self.project_key, self.project_id, host, session)

    def Drive(self, name: str, host: str | None = None) -> _Drive:  # noqa: N802
        return _Drive(name, self.project_key, self.project_id, host)

    def send_email(self, to: Any, subject: str, message: str, charset: str = "UTF-8") -> NoReturn:
        send_email(to, subject, message, charset)


def Base(name: str, host: str | None = None) -> _Base:  # noqa: N802
    return Deta().Base(name, host)


def Drive(name: str, host: str | None = None) -> _Drive:  # noqa: N802
    return Deta().Drive(name, host)


if _aiohttp is not None:

    def AsyncBase(name: str, host: str | None = None, session: Any = None) -> "_AsyncBase":  # noqa: N802
        return Deta().AsyncBase(name, host, session)

    __all__ += ["AsyncBase"]


def send_email(to: Any, subject: str, message: str, charset: str = "UTF-8") -> NoReturn:
    """The mail service ended with the former platform."""
    raise NotImplementedError("deta.send_email: there is no mail service; send mail through a provider of your own")
