"""Other gateways of the line, whatever tells of them: reported once, and gone when they say so or say nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.events import Envelope, Former
from gateway.uplinks.twins import CONTESTED, MOST, SILENT_S, Twins

if TYPE_CHECKING:
    from gateway.uplinks.uplink import UplinkContext

OURS, THEIRS, BEFORE = (f"0192f0c4-0000-4000-8000-00000000000{n}" for n in range(3))


def test_one_that_falls_silent_has_gone(context: UplinkContext, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    twins = Twins(context)
    with capture_logs() as said:
        for pause in (0, 60, SILENT_S):
            clock[0] += pause
            twins.heard(THEIRS)
            twins.look()
            assert list(context.others) == [THEIRS]
        clock[0] += SILENT_S + 1
        twins.look()
        assert not context.others
        twins.gone(THEIRS)
    assert [one["event"] for one in said] == ["second_gateway", "second_gateway_gone"]


def test_one_that_says_farewell_is_there_until_it_does(context: UplinkContext, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    twins = Twins(context)
    with capture_logs() as said:
        twins.met(THEIRS)
        assert context.kept[CONTESTED]
        twins.heard(THEIRS, "2026-11-22T06:00:00.000Z", says_farewell=True)
        clock[0] += 10 * SILENT_S
        twins.look()
        assert list(context.others) == [THEIRS]
        twins.gone(THEIRS)
        twins.met(THEIRS)
        clock[0] += SILENT_S + 1
        twins.look()
        assert not context.others
    assert [one["event"] for one in said] == ["second_gateway", "second_gateway_gone"] * 2


def test_what_is_no_stream_is_nobody(context: UplinkContext) -> None:
    twins = Twins(context)
    for stream in ("", "x", f"{THEIRS}\x1b[2J", THEIRS.upper()):
        twins.heard(stream)
        twins.met(stream)
    assert not context.others
    assert not context.kept


def test_ours_are_all_that_we_ever_had(context: UplinkContext) -> None:
    envelope = Envelope(context.envelope.source, OURS, (Former(-9, BEFORE),))
    twins = Twins(dataclasses.replace(context, envelope=envelope))
    assert [twins.is_ours(stream) for stream in (OURS, BEFORE, THEIRS)] == [True, True, False]


def test_streams_that_somebody_invents_are_bounded(context: UplinkContext) -> None:
    """Whoever may write where gateways are heard says that a thousand are there, come and go."""
    twins = Twins(context)
    with capture_logs() as said:
        for number in range(1000):
            twins.heard(f"{number:08x}-0000-4000-8000-000000000000")
            twins.met(f"{number:08x}-0000-4000-8000-000000000001")
    assert len(context.others) == len(twins._heard_at) == MOST
    assert len(context.said) == len(said) == MOST
    for stream in list(context.others):
        twins.gone(stream)
    assert not twins._heard_at
    twins.heard("ffffffff-0000-4000-8000-000000000000")
    assert len(context.others) == 1
