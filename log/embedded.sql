-- The embedded log, version 1. Offsets are dense: the end of a partition is its last record's offset + 1,
-- or `begin` when it holds none.

CREATE TABLE topics (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, so that a reader notices a recreated topic
    name TEXT NOT NULL UNIQUE,
    identity TEXT NOT NULL
);

CREATE TABLE partitions (
    topic INTEGER NOT NULL REFERENCES topics (id),
    partition INTEGER NOT NULL,
    begin INTEGER NOT NULL DEFAULT 0, -- records below this offset were deleted
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;

CREATE TABLE records (
    topic INTEGER NOT NULL REFERENCES topics (id),
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    timestamp INTEGER NOT NULL, -- milliseconds since 1970
    key BLOB,
    value BLOB,
    headers BLOB, -- log/headers.py; NULL when there are none
    PRIMARY KEY (topic, partition, "offset")
) WITHOUT ROWID;
