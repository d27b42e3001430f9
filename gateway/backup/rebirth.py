"""Makes of a copied buffer the one with which a line goes on elsewhere: a new stream, which names the one before it.

The daemon that the copy is of may have given numbers after it, to other events. So what was stored keeps its stream and
number (receivers know by them what they have already), and what is new begins at 1 in a stream of its own.

It may also have counted and published parts after the copy, and nobody here knows which. Then counting begins anew at
each counter's next reading: what was made in between is not known, rather than counted twice. Where the plant has the
events of that time, each counter goes on from the reading that the last of them tells.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from gateway.backup.archive import BackupError
from gateway.checkpoint import MACHINE_ROW, pack, unpack
from gateway.events import TYPE_PREFIX, TYPE_VERSION
from gateway.kpi.parts import UNBOUNDED
from gateway.outbox.classes import FIRST, TABLES
from gateway.outbox.migrate import check_version, migrate

PRODUCTION = f"{TYPE_PREFIX}machine.production{TYPE_VERSION}"
RESTORED = "restored"
"""How the buffer before came to its end, in `gateway.started`."""

Readings = Mapping[str, Mapping[str, int]]
"""By machine and `device.signal`."""


def rebirth(copy: Path, target: Path, *, moved: bool, readings: Readings) -> str:
    """Write to `target`, which must not exist, what goes on from the buffer `copy`; its stream.

    `moved`: nothing came after the copy, so that counting goes on as after an outage. `readings` are what counters were
    at when parts were counted last, where that is known to be after the copy. Raises BackupError, BufferError,
    CheckpointError or sqlite3.Error.
    """
    stream = str(uuid.uuid4())
    with closing(sqlite3.connect(copy, isolation_level=None)) as old:
        ((version,),) = old.execute("PRAGMA user_version").fetchall()
        check_version(version, copy)
        migrate(old)
        ((application_id,),) = old.execute("PRAGMA application_id").fetchall()
    with closing(sqlite3.connect(target, isolation_level=None)) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        migrate(db, f"PRAGMA application_id = {application_id};")
        db.execute("ATTACH ? AS old", (str(copy),))
        db.execute("BEGIN")
        _begin_stream(db, stream)
        if not moved:
            _forget_counts(db, readings)
        db.execute("COMMIT")
        db.execute("DETACH old")
        db.execute("PRAGMA optimize")
    return stream


def _begin_stream(db: sqlite3.Connection, stream: str) -> None:
    """All that is stored, with its numbers moved so that the last of them is 0."""
    ((before, last),) = db.execute("SELECT stream, last_seq FROM old.meta").fetchall()
    moved = {
        **{table: {"seq": "seq - :last"} for table in (*TABLES, "quarantine")},
        "cursor": {
            "position": "position - :last",
            "delivered": "CASE delivered WHEN :first THEN :first ELSE delivered - :last END",
        },
        "episode": {"stream": "coalesce(stream, :before)"},
        "former": {"base": "base - :last"},
    }
    given = {"last": last, "first": FIRST, "before": before}
    tables = [name for (name,) in db.execute("SELECT name FROM old.sqlite_schema WHERE type = 'table'")]
    for table in tables:
        if table == "meta" or table.startswith("sqlite_"):
            continue
        names = [row[1] for row in db.execute(f"PRAGMA old.table_info({table})")]
        values = [moved.get(table, {}).get(name, name) for name in names]
        db.execute(f"INSERT INTO main.{table} ({', '.join(names)}) SELECT {', '.join(values)} FROM old.{table}", given)
    if last:  # else it has no event, and its numbers would be another's
        db.execute("INSERT INTO former (base, stream) VALUES (-:last, :before)", given)
    db.execute(
        "INSERT INTO meta (id, stream, last_seq, clean, created_at, before_stream, before_last_seq, before_ended)"
        " VALUES (1, ?, 0, 1, ?, ?, ?, ?)",
        (stream, time.time_ns() // 1_000_000, before, last, RESTORED),
    )


def _forget_counts(db: sqlite3.Connection, readings: Readings) -> None:
    """What machines' counters stood at, and the minute that ran: its event came after the copy."""
    rows = dict(db.execute("SELECT name, body FROM main.checkpoint WHERE name LIKE ?", (f"{MACHINE_ROW}%",)))
    for name, row in unpack(rows).items():
        if (parts := row["parts"]) is None:
            continue
        parts["minute"] = None
        known = readings.get(name.removeprefix(MACHINE_ROW), {})
        for signal, counter in parts["counters"].items():
            counter |= {"base": known.get(signal), "pending": None, "doubts": 0}
            if signal not in known:
                counter["outage_from"] = None
                parts["doubts"] += 1  # what lies between machines is not known either
                parts["missing"] = [UNBOUNDED + one for one in parts["missing"]]
        body = {key: value for key, value in row.items() if key != "v"}
        db.execute("UPDATE main.checkpoint SET body = ? WHERE name = ?", (pack(body), name))


def last_readings(lines: Iterable[bytes], stream: str, after: int) -> dict[str, dict[str, int]]:
    """What each machine's newest `machine.production` behind seq `after` of a stream tells of its counters.

    `lines` are CloudEvents as JSON, one each, in any order; other events and lines that are none are passed over.
    Raises BackupError where none is of the stream.
    """
    newest: dict[str, tuple[int, dict[str, Any]]] = {}
    is_known = False
    for line in lines:
        try:
            event = orjson.loads(line)
            if event["stream"] != stream:
                continue
            is_known, seq = True, int(event["seq"])
            if event["type"] != PRODUCTION or seq <= newest.get(event["subject"], (after,))[0]:
                continue
            newest[event["subject"]] = (seq, event["data"]["counter"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            continue
    if not is_known:
        raise BackupError(f"no event in it is of the stream {stream}", "give the line's events, as the plant has them")
    return {
        machine: {signal: value for signal, value in counters.items() if isinstance(value, int)}
        for machine, (_, counters) in newest.items()
    }
