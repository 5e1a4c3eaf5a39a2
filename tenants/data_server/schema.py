"""The tables of a collection and of the server, in numbered steps. A store remembers its step in `PRAGMA user_version`.

Steps are only ever added. Each runs in a transaction with its number, so a store is never between two.
"""

import apsw

from tenants.data_server.errors import Refused

COLLECTION = (
    """
    CREATE TABLE bases(
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        items INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0);
    -- doc is JSONB; bytes is the length of its text. In key order, which is the order of pages.
    CREATE TABLE items(
        base INTEGER NOT NULL, key TEXT NOT NULL, doc BLOB NOT NULL, bytes INTEGER NOT NULL, expires REAL,
        PRIMARY KEY (base, key)) WITHOUT ROWID;
    CREATE INDEX items_to_remove ON items(expires) WHERE expires IS NOT NULL;

    CREATE TABLE drives(
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        items INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0);
    -- An id is never used again: it is the version that an ETag names.
    CREATE TABLE files(
        id INTEGER PRIMARY KEY AUTOINCREMENT, drive INTEGER NOT NULL, name TEXT NOT NULL,
        type TEXT NOT NULL, bytes INTEGER NOT NULL, stored REAL NOT NULL, UNIQUE (drive, name));
    CREATE TABLE chunks(
        file INTEGER NOT NULL, n INTEGER NOT NULL,
        blob TEXT NOT NULL, bytes INTEGER NOT NULL, crc INTEGER NOT NULL, sha256 BLOB NOT NULL,
        PRIMARY KEY (file, n)) WITHOUT ROWID;
    CREATE TABLE uploads(
        id TEXT PRIMARY KEY, drive TEXT NOT NULL, name TEXT NOT NULL, type TEXT, touched REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE parts(
        upload TEXT NOT NULL, n INTEGER NOT NULL,
        blob TEXT NOT NULL, bytes INTEGER NOT NULL, crc INTEGER NOT NULL, sha256 BLOB NOT NULL,
        PRIMARY KEY (upload, n)) WITHOUT ROWID;
    CREATE INDEX chunks_of_a_blob ON chunks(blob);
    CREATE INDEX parts_of_a_blob ON parts(blob);
    -- Blobs that no row names any more, to be unlinked once nobody reads what was before.
    CREATE TABLE garbage(n INTEGER PRIMARY KEY AUTOINCREMENT, blob TEXT NOT NULL);

    -- Imports that were applied, so that applying one again answers the same and changes nothing.
    CREATE TABLE applied(import TEXT PRIMARY KEY, report TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
    """,
)

SERVER = (
    """
    -- instances: JSON, [{"instance", "version"}], whose derived keys count.
    CREATE TABLE collections(
        id TEXT PRIMARY KEY, name TEXT NOT NULL, instances TEXT NOT NULL, created REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE keys(
        collection TEXT NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
        id TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (collection, id)) WITHOUT ROWID;
    CREATE TABLE settings(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
)

# What is staged of an archive until it is applied: as in a collection, by name instead of by id.
STAGED = (
    """
    CREATE TABLE items(
        base TEXT NOT NULL, key TEXT NOT NULL, doc BLOB NOT NULL, bytes INTEGER NOT NULL, expires REAL,
        PRIMARY KEY (base, key)) WITHOUT ROWID;
    CREATE TABLE files(
        drive TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, bytes INTEGER NOT NULL,
        blob TEXT NOT NULL, crc INTEGER NOT NULL, sha256 BLOB NOT NULL, PRIMARY KEY (drive, name)) WITHOUT ROWID;
    CREATE TABLE bases(name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE problems(text TEXT NOT NULL);
    """,
)


class FromTheFuture(Refused):
    """Written by a newer version of this program, which alone may read it."""


def migrate(db: apsw.Connection, steps: tuple[str, ...]) -> None:
    """Take `db` to the last step. Safe to repeat and to interrupt. Raises FromTheFuture."""
    at = db.pragma("user_version")
    if at > len(steps):
        raise FromTheFuture(f"{db.filename} is of schema {at}, this version knows {len(steps)}")
    for number, step in enumerate(steps[at:], at + 1):
        with db:
            db.execute(step)
            db.pragma("user_version", number)
