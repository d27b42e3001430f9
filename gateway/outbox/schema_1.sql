-- Schema 1 of a buffer. A new buffer runs every number in turn; a change is a new number, and a stored file of the old one.

-- The one row about the buffer itself. `last_seq` is the last number given: rows of `event` come and go.
CREATE TABLE meta (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    stream     TEXT    NOT NULL,            -- UUID of this buffer, part of every event's id
    last_seq   INTEGER NOT NULL,
    clean      INTEGER NOT NULL,            -- 1 after an orderly stop, 0 while the daemon runs
    created_at INTEGER NOT NULL             -- UTC in milliseconds
);

CREATE TABLE event (
    seq       INTEGER PRIMARY KEY,
    stored_at INTEGER NOT NULL,             -- UTC in milliseconds; what `retain` counts from
    type      TEXT    NOT NULL,             -- short name: machine.state
    subject   TEXT    NOT NULL,
    time      INTEGER NOT NULL,             -- UTC in milliseconds
    data      BLOB    NOT NULL              -- JSON
);

-- The engine's state, one row a machine, as of the last event of the same commit.
CREATE TABLE checkpoint (
    name TEXT PRIMARY KEY,
    body BLOB NOT NULL
) WITHOUT ROWID;

-- How far each uplink is. `position` is the last event settled (delivered, or set aside in quarantine),
-- `delivered` the last one delivered: the next event's prevseq.
CREATE TABLE cursor (
    uplink    TEXT PRIMARY KEY,
    position  INTEGER NOT NULL,
    delivered INTEGER NOT NULL
) WITHOUT ROWID;

-- Events that an uplink's other side refused for good; whole, since `event` forgets them after `retain`.
CREATE TABLE quarantine (
    uplink         TEXT    NOT NULL,
    seq            INTEGER NOT NULL,
    why            TEXT    NOT NULL,
    quarantined_at INTEGER NOT NULL,        -- UTC in milliseconds
    type           TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    time           INTEGER NOT NULL,
    data           BLOB    NOT NULL,
    PRIMARY KEY (uplink, seq)
) WITHOUT ROWID;
