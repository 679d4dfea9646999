"""The form of the registry's database, and how an older form becomes the present one."""

from __future__ import annotations

import sqlite3

from sentinel.registry.errors import TooNew

APPLICATION = 0x53454E54
"""Marks the file as ours (sqlite.org, "PRAGMA application_id"): the letters SENT."""

_STEPS = (
    """
    CREATE TABLE sessions (
        id TEXT NOT NULL,
        generation INTEGER NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        project TEXT NOT NULL,
        labels TEXT NOT NULL CHECK (json_valid(labels)),
        host TEXT NOT NULL,
        boot TEXT NOT NULL,
        pid INTEGER NOT NULL,
        start INTEGER NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('active', 'ended')),
        registered REAL NOT NULL,
        heartbeat REAL NOT NULL,
        beat REAL NOT NULL,
        ended REAL,
        why TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (id, generation)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX living ON sessions (id) WHERE status = 'active';
    CREATE TABLE children (
        id TEXT NOT NULL,
        generation INTEGER NOT NULL,
        pid INTEGER NOT NULL,
        start INTEGER NOT NULL,
        added REAL NOT NULL,
        PRIMARY KEY (id, generation, pid, start),
        FOREIGN KEY (id, generation) REFERENCES sessions ON DELETE CASCADE
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE sessions ADD COLUMN namespace INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE children ADD COLUMN proof TEXT NOT NULL DEFAULT '';
    """,
)
"""What leads from each version to the next, the first from an empty file."""

VERSION = len(_STEPS)


def prepare(connection: sqlite3.Connection) -> None:
    """Bring the database to the present form. Several processes may do so at once.

    Raises:
        TooNew: A later Sentinel has written it.
        sqlite3.Error: It cannot be read or written, or it is damaged.
    """
    if version(connection) == VERSION:
        return
    connection.execute("PRAGMA journal_mode = WAL")  # it stays with the file, and cannot change in a transaction
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again: another may have been first.
        for step in _STEPS[version(connection) :]:
            for statement in filter(str.strip, step.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def version(connection: sqlite3.Connection) -> int:
    """Which form the database has; 0 for one that is empty yet.

    Raises:
        TooNew: A later Sentinel has written it.
        sqlite3.Error: It cannot be read, or is no registry.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application not in (0, APPLICATION):
        raise sqlite3.DatabaseError("it is another program's database")
    if found > VERSION:
        raise TooNew(f"the registry has version {found}, and this Sentinel knows up to {VERSION}: upgrade it")
    return found
