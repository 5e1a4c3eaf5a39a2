"""Console sessions in the database, by a hash of their key: with the table, or a dump of it, nobody enters anywhere."""

import hashlib

from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db.models import QuerySet
from django.utils import timezone


def stored(session_key: str) -> str:
    """What the row of the session that a browser knows by this key is called: 160 bits, as many as the column holds."""
    return hashlib.sha256(session_key.encode()).hexdigest()[:40]


class SessionStore(db.SessionStore):
    """Django's, but for the name of the row."""

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        row = self._rows().first()
        if row is None:
            self._session_key = None
        return row

    async def _aget_session_from_db(self) -> AbstractBaseSession | None:
        row = await self._rows().afirst()
        if row is None:
            self._session_key = None
        return row

    def exists(self, session_key: str) -> bool:
        return super().exists(stored(session_key))

    async def aexists(self, session_key: str) -> bool:
        return await super().aexists(stored(session_key))

    def create_model_instance(self, data: dict[str, object]) -> AbstractBaseSession:
        row = super().create_model_instance(data)
        row.session_key = stored(row.session_key)
        return row

    async def acreate_model_instance(self, data: dict[str, object]) -> AbstractBaseSession:
        row = await super().acreate_model_instance(data)
        row.session_key = stored(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            super().delete(stored(key))

    async def adelete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            await super().adelete(stored(key))

    def _rows(self) -> QuerySet[AbstractBaseSession]:
        return self.model.objects.filter(session_key=stored(self.session_key or ""), expire_date__gt=timezone.now())
