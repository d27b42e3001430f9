-- Schema 2. What goes first when space runs out has tables of its own, of the same columns as `event`: dropping the
-- oldest of one kind then frees whole pages, where holes among others' rows would free none. Rows of schema 1 stay in
-- `event`, where they count as states, but for gaps, which are never dropped.

CREATE TABLE trend (
    seq INTEGER PRIMARY KEY, stored_at INTEGER NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL,
    time INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE TABLE production (
    seq INTEGER PRIMARY KEY, stored_at INTEGER NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL,
    time INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE TABLE kpi (
    seq INTEGER PRIMARY KEY, stored_at INTEGER NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL,
    time INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE TABLE gap (
    seq INTEGER PRIMARY KEY, stored_at INTEGER NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL,
    time INTEGER NOT NULL, data BLOB NOT NULL
);
INSERT INTO gap SELECT * FROM event WHERE type = 'gateway.gap';
DELETE FROM event WHERE type = 'gateway.gap';

-- Every stored event, for people: the daemon merges the tables itself.
CREATE VIEW stored AS
    SELECT * FROM event UNION ALL SELECT * FROM trend UNION ALL SELECT * FROM production
    UNION ALL SELECT * FROM kpi UNION ALL SELECT * FROM gap;

-- The buffer before this one, where there was one and no event has named it yet.
ALTER TABLE meta ADD COLUMN before_stream TEXT;
ALTER TABLE meta ADD COLUMN before_last_seq INTEGER;
ALTER TABLE meta ADD COLUMN before_ended TEXT;          -- damaged, missing

-- Since when the configuration does not name this uplink; UTC in milliseconds, null while it does.
ALTER TABLE cursor ADD COLUMN detached_at INTEGER;

-- 1: to be delivered once more, before what the cursor comes to next.
ALTER TABLE quarantine ADD COLUMN retry INTEGER NOT NULL DEFAULT 0;

-- Events that are gone and of which no `gateway.gap` has told yet: one row an episode of one class and cause.
CREATE TABLE episode (
    class    TEXT    NOT NULL,
    why      TEXT    NOT NULL,
    what     TEXT    NOT NULL,              -- dropped, damaged
    stream   TEXT,                          -- whose numbers from_seq and to_seq are; null: this buffer's
    from_seq INTEGER,
    to_seq   INTEGER,
    count    INTEGER NOT NULL,
    began    INTEGER NOT NULL,              -- UTC in milliseconds, of the first event
    ended    INTEGER NOT NULL,
    PRIMARY KEY (class, why)
) WITHOUT ROWID;
