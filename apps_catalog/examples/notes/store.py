"""Where notes are kept: one SQLite file. Every call opens its own connection, so any thread may call."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS note (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    text TEXT NOT NULL,
    created_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    deleted_at REAL
)
"""
COLUMNS = "id, text, created_at, changed_at"
UNDO_DAYS = 30


class NotFoundError(Exception):
    """There is no such note."""


class Notes:
    def __init__(self, folder=None):
        folder = Path(folder or os.environ.get("NOTES_FOLDER", "/data"))
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "notes.db"
        with self._open() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(SCHEMA)
            db.execute("DELETE FROM note WHERE deleted_at < ?", (time.time() - UNDO_DAYS * 86400,))

    @contextlib.contextmanager
    def _open(self):
        db = sqlite3.connect(self.file, timeout=10)
        db.row_factory = sqlite3.Row
        try:
            with db:
                yield db
        finally:
            db.close()

    def all(self):
        with self._open() as db:
            query = (
                "SELECT id, text, created_at, changed_at FROM note WHERE deleted_at IS NULL ORDER BY changed_at DESC"
            )
            return [dict(row) for row in db.execute(query)]

    def add(self, text):
        now = time.time()
        with self._open() as db:
            values = (text, now, now)
            number = db.execute("INSERT INTO note (text, created_at, changed_at) VALUES (?, ?, ?)", values).lastrowid
        return {"id": number, "text": text, "created_at": now, "changed_at": now}

    def change(self, number, text):
        self._update("UPDATE note SET text = ?, changed_at = ? WHERE id = ?", (text, time.time(), number))
        return self._get(number)

    def remove(self, number):
        self._update("UPDATE note SET deleted_at = ? WHERE id = ?", (time.time(), number))

    def restore(self, number):
        self._update("UPDATE note SET deleted_at = NULL WHERE id = ?", (number,))
        return self._get(number)

    def _update(self, statement, values):
        with self._open() as db:
            if db.execute(statement, values).rowcount == 0:
                raise NotFoundError

    def _get(self, number):
        with self._open() as db:
            row = db.execute(f"SELECT {COLUMNS} FROM note WHERE id = ?", (number,)).fetchone()
        return dict(row)
