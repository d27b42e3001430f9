"""Rows of the engine's checkpoint: named, versioned, and read back in words where that does not work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

import msgpack

from protocols.model import Quality

if TYPE_CHECKING:
    from ext.table import SignalTable

SCHEMA = 3
ENGINE_ROW = "engine"
JOB_ROW = "job"
MACHINE_ROW = "machine/"
DEVICE_ROW = "device/"
WINDOW_ROW = "kpi/"

_PLAIN = frozenset({int, str, bool, float, dict, type(None)})


def _from_2(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """Version 2 dated all by its receipt, and did not know what lies between machines at the least and at the most."""
    if name == ENGINE_ROW:
        return {**row, "seen": {}, "flow": {}}
    if name == JOB_ROW and "out" in row:
        return {
            **row,
            "out": {one: [number, before, [[0, number]], [0, 0, 0]] for one, (number, before) in row["out"].items()},
        }
    if name.startswith(DEVICE_ROW):
        return {**row, "connected_at": 0, "clock": [None, None, 0, {}]}
    if not name.startswith(MACHINE_ROW):
        return row
    parts = None if row["parts"] is None else {**row["parts"], "late_ms": 0, "missing": [0, 0, 0]}
    return {**row, "floor": row["at"], "late": None, "parts": parts}


MIGRATIONS: dict[int, Callable[[str, dict[str, Any]], dict[str, Any]]] = {2: _from_2}
"""By version: a row's name and body of that version to the body of the next. The first that can be read is the first
key, or SCHEMA where there is none."""


class CheckpointError(Exception):
    """The buffer's checkpoint cannot be used; going on without it would count parts twice or forget them."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


def field_names(kind: Any) -> Iterable[str]:
    """The fields of a dataclass, or of one of its objects, in order; `dataclasses.fields` looks for them each time."""
    names: Mapping[str, object] = kind.__dataclass_fields__
    return names


def plain_list(one: Any) -> list[Any]:
    """What a dataclass of plain values has, in order: for a row that is packed at once, so nothing is copied."""
    return [getattr(one, name) for name in field_names(one)]


def plain(one: Any) -> dict[str, Any]:
    """A dataclass as plain values by name, with those in it and in its lists; likewise nothing else is copied."""
    return {name: _plain(getattr(one, name)) for name in field_names(one)}


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list or kind is tuple:
        return [_plain(one) for one in value]
    return plain(value) if is_dataclass(kind) else value


def pack(body: Mapping[str, Any]) -> bytes:
    """One row."""
    packed: bytes = msgpack.packb({"v": SCHEMA, **body})
    return packed


def is_row(body: bytes) -> bool:
    """Whether these bytes can be a row, of whatever version."""
    try:
        return "v" in msgpack.unpackb(body, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException):
        return False


def unpack(rows: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """All rows by name, but those that say of themselves that they are gone.

    Raises CheckpointError for one that is damaged or of a newer version.
    """
    saved = {}
    for name, body in rows.items():
        if not body:
            continue
        try:
            row = msgpack.unpackb(body, strict_map_key=False)
            version = row["v"]
        except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
            remedy = "restore the buffer from a backup, or move it aside to begin a new one"
            raise CheckpointError(f"the checkpoint's row {name} is damaged: {error!r}", remedy) from None
        if version > SCHEMA:
            remedy = "run the version that wrote it, or a newer one"
            raise CheckpointError(f"the checkpoint is of version {version}, this is version {SCHEMA}", remedy)
        while version < SCHEMA and version in MIGRATIONS:
            row = MIGRATIONS[version](name, row)
            version += 1
        if version < SCHEMA:
            remedy = "run the version that wrote it, or move the buffer aside to begin a new one"
            raise CheckpointError(f"the checkpoint is of version {version}, before 0.1.0 was released", remedy)
        saved[name] = {**row, "v": version}
    return saved


def recalled(rows: Mapping[str, bytes], tables: Mapping[str, SignalTable]) -> dict[str, bytes]:
    """The same rows; of devices that are read on, also what the engine did not know so far, as it was read last."""
    saved, known = unpack(rows), dict(rows)
    for device, table in tables.items():
        row = saved[DEVICE_ROW + device]
        for number, name in enumerate(table.names):
            _, value, quality, why, source_time = table.read(number)
            said = [value, quality, why, None, source_time]
            if row["frozen"] is not None:
                row["frozen"].setdefault(f"{device}.{name}", said)
                said = [None, Quality.BAD, row["lost_why"]["why"], None, None]
            row["signals"].setdefault(f"{device}.{name}", said)
        known[DEVICE_ROW + device] = pack(row)
    return known
