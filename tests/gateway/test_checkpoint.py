"""Rows of the checkpoint: older ones are brought to this version one number after another, others refused in words."""

from __future__ import annotations

import msgpack
import pytest

from gateway import checkpoint
from gateway.checkpoint import SCHEMA, CheckpointError, pack, unpack


def test_an_older_row_goes_through_every_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(checkpoint.MIGRATIONS, SCHEMA - 2, lambda name, row: {**row, "first": name})
    monkeypatch.setitem(checkpoint.MIGRATIONS, SCHEMA - 1, lambda _, row: {**row, "second": row["first"]})
    rows = {"engine": msgpack.packb({"v": SCHEMA - 2, "n": 1}), "machine/a": pack({"n": 2})}
    saved = unpack(rows)
    assert (saved["engine"]["n"], saved["engine"]["second"]) == (1, "engine")
    assert saved["machine/a"]["n"] == 2


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (msgpack.packb({"v": SCHEMA + 1}), "version"),
        (msgpack.packb({"v": -1}), "version"),
        (b"\xc1", "damaged"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(row: bytes, words: str) -> None:
    with pytest.raises(CheckpointError, match=words) as refused:
        unpack({"engine": row})
    assert refused.value.remedy
