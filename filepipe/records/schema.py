"""The tables, and how a file of an older version becomes one of this version.

Rule 1: a migration that has been released is never changed; a change is one more migration.
Rule 2: `PRAGMA user_version` is the number of migrations that a file has had.
"""

from __future__ import annotations

from collections.abc import Sequence

# What is called like a field of `Upload` or `Part` is that field.
_UPLOADS = """
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    filename TEXT NOT NULL,
    folder TEXT,
    storage TEXT NOT NULL,
    handle TEXT NOT NULL,
    front TEXT NOT NULL,
    key TEXT,
    notes TEXT NOT NULL,
    total_size INTEGER,
    "offset" INTEGER,
    chunk_size INTEGER NOT NULL,
    total_parts INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'finalizing', 'complete', 'failed')),
    "unique" INTEGER NOT NULL,
    checksum_sha256 TEXT,
    webhook_url TEXT,
    final_path TEXT,
    error TEXT,
    progress INTEGER NOT NULL,
    created REAL NOT NULL,
    active REAL NOT NULL,
    expires REAL NOT NULL,
    replaced REAL
)
"""

# A row is a part that is stored, durably.
_PARTS = """
CREATE TABLE parts (
    upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    uploaded REAL NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID
"""

# The ids of uploads that are gone, and since when.
_TOMBSTONES = """
CREATE TABLE tombstones (
    id TEXT PRIMARY KEY,
    gone REAL NOT NULL
) WITHOUT ROWID
"""

# What is called like a field of `Event` is that field.
_OUTBOX = """
CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    kind TEXT NOT NULL,
    upload TEXT NOT NULL,
    filename TEXT NOT NULL,
    folder TEXT,
    total_size INTEGER NOT NULL,
    storage TEXT NOT NULL,
    final_path TEXT,
    error TEXT,
    happened REAL NOT NULL,
    attempts INTEGER NOT NULL,
    due REAL NOT NULL
)
"""

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        _UPLOADS,
        _PARTS,
        _TOMBSTONES,
        "CREATE INDEX uploads_by_principal ON uploads (principal, created)",
        "CREATE INDEX uploads_by_expiry ON uploads (expires)",
    ),
    (
        _OUTBOX,
        "CREATE INDEX outbox_by_due ON outbox (due)",
        "CREATE INDEX outbox_by_upload ON outbox (upload)",
    ),
)
"""Each is a list of statements, run in one transaction."""
