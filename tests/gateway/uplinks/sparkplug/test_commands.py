"""Commands: a rebirth is answered, everything else is refused; linegate never writes to a machine."""

from __future__ import annotations

from tests.gateway.uplinks.sparkplug.recording import REBIRTH_S, Recording, metrics_of
from tests.peers.mqtt_tap import SUBSCRIBE

OURS = ("NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH")


def test_commands_of_the_node_alone_are_subscribed_to(recording: Recording) -> None:
    """At QoS 1; not those of devices, which have nothing to write to. Nothing else of Sparkplug's."""
    asked = [(one.topic, one.qos) for one in recording.tap.of(SUBSCRIBE) if one.topic.startswith("spBv1.0/")]
    assert asked == [("spBv1.0/berlin/NCMD/line-3", 1)] * 2


def test_a_host_gets_a_rebirth(recording: Recording) -> None:
    """All births, one behind the other and with the same bdSeq."""
    kinds = [kind for kind in recording.order("rebirth") if kind.split()[0] in OURS]
    births = [kinds[place : place + 3] for place, kind in enumerate(kinds) if kind == "NBIRTH"]
    assert births == [["NBIRTH", "DBIRTH filler", "DBIRTH capper"]] * 2
    first, second = recording.of("rebirth", "NBIRTH")
    assert metrics_of(first)["bdSeq"]["value"] == metrics_of(second)["bdSeq"]["value"] == 0
    assert recording.known["rebirth"]["births"] == 3


def test_births_do_not_come_faster_than_one_a_second(recording: Recording) -> None:
    """A host that asks without end does not drown the others; shortened here."""
    first, second = (one["payload"]["timestamp"] for one in recording.of("rebirth", "NBIRTH"))
    assert second - first >= REBIRTH_S * 1000 - 5


def test_whatever_else_is_asked_for_is_refused(recording: Recording) -> None:
    """And said once; nothing changes by it."""
    refused = [one["metric"] for one in recording.logs if one["event"] == "command_refused"]
    assert refused == ["Node Control/Reboot", "signals/filler_plc/fault", "what is no Sparkplug payload"]
    tags = recording.known["rebirth"]["devices"]["filler"]["tags"]
    assert tags["signals/filler_plc/fault"]["value"] == 19
    assert tags["state"]["value"] == "held"
