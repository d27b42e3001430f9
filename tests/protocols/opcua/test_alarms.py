"""Active alarms as a text: the most severe one's message, also of those that were active before."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from protocols.model import Quality
from protocols.opcua import alarms
from tests.conftest import line_document
from tests.peers.opcua import values
from tests.peers.opcua.processes import OpcUaServer
from tests.processes import daemon, free_port, until
from tests.protocols.opcua.line import at, device, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOTIFIERS = {"server": "i=2253", "machine": f"/Objects/nsu={values.NAMESPACE};Test"}


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
@pytest.mark.parametrize("notifier", list(NOTIFIERS))
async def test_the_most_severe_active_alarm(
    peer: OpcUaServer, decoder: str, notifier: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "REFRESH_S", 0.5)  # node-opcua does not say the end of a machine's
    await peer.tell("alarm", name="Early", active=True, severity=300, message="low stock")
    signals = {"alarm": {"alarms": NOTIFIERS[notifier]}, "x": at("Scalars.Int32")}
    async with running(device(peer.url, signals, mode=mode)) as line:
        await line.shows("alarm", "low stock")
        assert line.quality("alarm") is Quality.GOOD
        await peer.tell("alarm", name="CapJam", active=True, severity=700, message="cap jam")
        await line.shows("alarm", "cap jam")
        await peer.tell("alarm", name="Door", active=True, severity=500, message="door open")
        await peer.tell("alarm", name="CapJam", active=False, severity=700)
        await line.shows("alarm", "door open")
        await peer.tell("alarm", name="Door", active=False)
        await line.shows("alarm", "low stock")
        await peer.tell("alarm", name="Early", active=False)
        await line.shows("alarm", "")
        await line.until(lambda: line.value("x") == values.SCALARS["Int32"])
        assert line.history("alarm")[-5:] == ["low stock", "cap jam", "door open", "low stock", ""]
        assert line.learned("alarm").type == "string"


async def test_a_connection_made_anew_knows_what_is_active(asyncua_peer: OpcUaServer) -> None:
    async with running(device(asyncua_peer.url, {"alarm": {"alarms": "i=2253"}})) as line:
        await line.shows("alarm", "")
        await asyncua_peer.tell("alarm", name="CapJam", active=True, severity=700, message="cap jam")
        await line.shows("alarm", "cap jam")
        await asyncua_peer.tell("delete_subscriptions", how="fault")
        await asyncua_peer.tell("alarm", name="CapJam", active=False)
        await line.shows("alarm", "")
        await asyncua_peer.tell("alarm", name="CapJam", active=True, severity=700, message="cap jam")
        await asyncua_peer.tell("drop")
        await line.until(lambda: line.states == [True, False, True])
        await line.shows("alarm", "cap jam")
        await asyncua_peer.tell("alarm", name="CapJam", active=False)
        await line.shows("alarm", "")


async def test_a_node_without_events_is_set_aside_by_name(peer: OpcUaServer) -> None:
    signals = {"alarm": {"alarms": at("Scalars.Int32")["node"]}, "x": at("Scalars.Int32")}
    async with running(device(peer.url, signals)) as line:
        await line.until(lambda: line.value("x") is not None)
        await line.until(lambda: any(notice.signal == 0 for notice in line.notices))
        assert line.why("alarm") == "the node notifies of no events; one that does is the Server (i=2253)"


async def test_an_active_alarm_is_why_a_machine_stands(asyncua_peer: OpcUaServer, tmp_path: Path) -> None:
    """Through the whole daemon, from the condition to the event."""
    states = [{"state": "held", "when": 'plc.alarm != ""', "reason": {"alarms": "plc.alarm"}}, {"state": "execute"}]
    document = line_document(
        devices={
            "plc": {
                "protocol": "opcua",
                "endpoint": asyncua_peer.url,
                "scan_interval": "100ms",
                "signals": {"alarm": {"alarms": "i=2253"}},
            }
        },
        machines={"capper": {"states": states}},
        reasons={"cap jam": {"text": "cap jam", "group": "mechanical"}},
        health={"listen": f"127.0.0.1:{free_port()}"},
    )
    async with daemon(tmp_path, document) as gateway:

        def reasons(state: str) -> list[dict[str, Any]]:
            told = [event["data"] for event in gateway.events() if event["type"] == "linegate.machine.state.v1"]
            return [one["reason"] for one in told if one["state"] == state and not one["final"]]

        await until(lambda: reasons("execute"))
        await asyncua_peer.tell("alarm", name="CapJam", active=True, severity=700, message="cap jam")
        await until(lambda: reasons("held"))
        await asyncua_peer.tell("alarm", name="CapJam", active=False)
        await until(lambda: len(reasons("execute")) > 1)
        assert await gateway.stop() == 0
    assert reasons("held")[0] == {"code": "cap jam", "text": "cap jam", "source": "alarm", "group": "mechanical"}


async def test_what_a_server_says_at_length_is_kept_no_longer_than_it_can_be_shown(asyncua_peer: OpcUaServer) -> None:
    signals = {"alarm": {"alarms": NOTIFIERS["server"], "length": 20}}
    async with running(device(asyncua_peer.url, signals)) as line:
        await line.shows("alarm", "")
        await asyncua_peer.tell("alarm", name="CapJam", active=True, severity=700, message="cap_jam_" * 100_000)
        await line.shows("alarm", "cap_jam_cap_jam_cap_")
        (known,) = [one for kept in gc.get_objects() if type(kept) is alarms.Alarms for one in kept._active.values()]
        assert len(known.message) == 20
        await asyncua_peer.tell("alarm", name="CapJam", active=False)
        await line.shows("alarm", "")
