"""config/line-3.yaml as it stands, and as a daemon: three PLCs of three protocols, four uplinks, every one at work."""

from __future__ import annotations

from pathlib import Path

from gateway.config.loader import load_config
from tests.peers.collector import Collector
from tests.peers.sparkplug import sparkplug_host
from tests.processes import Daemon, broker, free_port, simulator, until

FILE = Path(__file__).parents[2] / "config" / "line-3.yaml"
MACHINES = ("filler", "capper", "labeler")


def test_it_is_accepted_as_it_stands() -> None:
    config = load_config(FILE).config
    assert tuple(config.machines) == MACHINES
    assert [uplink.type for uplink in config.uplinks.values()] == ["file", "mqtt", "sparkplug", "http"]


async def test_it_runs_whole(tmp_path: Path) -> None:
    """Killed once, too. Only ports differ: the PLCs are simulated, the broker, the MES and the SCADA host are real."""
    mes, broker_port, listen = Collector(), free_port(), f"127.0.0.1:{free_port()}"
    await mes.start()
    (tmp_path / "mes_token").write_text("s3cret\n")
    line = simulator("--seed", "7", "--speed", "3", "--capper", "0", "--labeler", "0", "--chaos", "off")
    async with line as plcs, broker(tmp_path / "broker", broker_port), sparkplug_host(broker_port) as scada:
        text = FILE.read_text()
        for mine, theirs in (
            ("port: 15020", f"port: {plcs.port}"), (":14840/", f":{plcs.ready['capper']}/"),
            ("port: 44818", f"port: {plcs.ready['labeler']}"), (":11883", f":{broker_port}"),
            (":18088", f":{mes.port}"), ("127.0.0.1:8480", listen),
        ):  # fmt: skip
            assert mine in text
            text = text.replace(mine, theirs)
        one = Daemon(tmp_path, {"health": {"listen": listen}}, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)})
        one.file.write_text(text)
        await one.start()

        async def is_whole() -> bool:
            known = await one.line()
            states = {name: machine["state"] for name, machine in known["machines"].items()}
            links = [*known["devices"].values(), *known["uplinks"].values()]
            return "unknown" not in states.values() and all(
                link.get("connected", link.get("state") == "connected") for link in links
            )

        await until(is_whole)
        labels = "signals/labeler_plc/labels"

        async def is_shown() -> bool:
            devices = (await scada.line()).get("devices", {})
            shown = [one for one in devices.values() if one["online"] and one["tags"]["state"]["value"] != "unknown"]
            return len(shown) == 3 and labels in devices["labeler"]["tags"]

        await until(is_shown)
        await one.kill()
        await scada.until(lambda: scada.kinds()[-1] == "NDEATH")
        assert (known := await scada.line())["bdSeq"] == 0
        assert not any(device["online"] for device in known["devices"].values())
        await one.start()
        await until(is_shown)
        assert await one.stop() == 0
        known = await scada.line()
    await mes.stop()
    assert known["complaints"] == []
    assert tuple(known["devices"]) == MACHINES
    assert (known["online"], known["deaths"], known["bdSeq"]) == (False, 2, 1), "it has said that it goes"
    speed = known["devices"]["filler"]["tags"]["signals/filler_plc/speed"]
    assert (speed["type"], speed["unit"]) == ("Double", "1/min")
    assert known["devices"]["capper"]["tags"]["signals/capper_plc/caps"]["type"] == "Int64"
    assert {event["seq"] for event in mes.taken} == {event["seq"] for event in one.events()}
    assert {event["subject"] for event in mes.taken} >= {*MACHINES, "gateway"}
