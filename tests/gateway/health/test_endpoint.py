"""The endpoint of a running daemon: what it answers, in which form, and to whom."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import aiomqtt
import pytest
import pytest_asyncio
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from yarl import URL

from gateway import __version__
from gateway.outbox.stats import OutboxStats
from gateway.runner.uplink import UplinkStats
from protocols.driver import LinkStats
from tests.conftest import line_document
from tests.processes import Daemon, broker, daemon, free_port, simulator, until

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PRODUCTS = {"signal": "filler_plc.recipe", "list": {"cola-500ml": {}}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """One daemon for all tests of this file."""
    document = line_document(health={"listen": f"127.0.0.1:{free_port()}"}, products=PRODUCTS)
    async with simulator("--chaos", "off") as plc:
        document["devices"]["filler_plc"]["port"] = plc.port
        async with daemon(tmp_path_factory.mktemp("health"), document) as running:

            async def executes() -> bool:
                return bool((await running.line())["machines"]["filler"]["state"] == "execute")

            await until(executes)
            yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_product_that_is_not_listed_is_a_warning(tmp_path: Path) -> None:
    document = line_document(health={"listen": f"127.0.0.1:{free_port()}"}, products={**PRODUCTS, "list": {}})
    async with simulator("--chaos", "off") as plc:
        document["devices"]["filler_plc"]["port"] = plc.port
        async with daemon(tmp_path, document) as running:

            async def warns() -> bool:
                (check,) = json.loads((await running.get("/health"))[1])["checks"]["products"]
                return bool(check.get("output") == "cola-500ml on filler is not listed")

            await until(warns)


async def test_a_second_gateway_of_the_line_is_a_warning(tmp_path: Path) -> None:
    port = free_port()
    other = {"state": "online", "source": "/acme/berlin/filling/line-3", "time": "2026-11-22T06:00:00.000Z"}
    other["stream"] = "0192f0c4-0000-4000-8000-000000000001"
    document = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
    document["uplinks"] = {"plant": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{port}"}}
    async with broker(tmp_path / "broker", port), aiomqtt.Client("127.0.0.1", port) as elsewhere:
        await elsewhere.publish("acme/berlin/filling/line-3/gateway/state", json.dumps(other), qos=1, retain=True)
        async with daemon(tmp_path, document) as running:

            async def warns() -> bool:
                (check,) = json.loads((await running.get("/health"))[1])["checks"]["uplink:plant"]
                return other["stream"] in check.get("output", "") and "stop one of the two" in check["remedy"]

            await until(warns)


async def test_livez_and_readyz(one: Daemon) -> None:
    assert await one.get("/livez") == (200, "ok\n")
    assert await one.get("/readyz") == (200, "ok\n")
    status, text = await one.get("/readyz?verbose")
    assert (status, text) == (200, "[+] stopping\n[+] store\nok\n")


async def test_health_has_a_check_for_every_part(one: Daemon) -> None:
    await until(one.is_well)
    status, text = await one.get("/health")
    health = json.loads(text)
    assert status == 200
    assert set(health["checks"]) == {
        "store", "configuration", "clock", "loop", "device:filler_plc", "uplink:journal", "samples", "products",
    }  # fmt: skip
    device = health["checks"]["device:filler_plc"][0]["observedValue"]
    assert device["bad_signals"] == 0
    assert device["age_s"] < 5
    assert device["requests"] > 0
    assert health["serviceId"] == "/acme/berlin/filling/line-3"


async def test_line_shows_machines_and_on_request_signals(one: Daemon) -> None:
    line = await one.line()
    filler = line["machines"]["filler"]
    assert (filler["state"], filler["category"], filler["ideal_s"]) == ("execute", "production", 0.5)
    assert filler["rule"]["text"] == "filler_plc.running and filler_plc.speed > 5"
    assert line["flow"] == []
    assert line["job"]["product"] == "cola-500ml"
    assert line["kpi"].keys() == filler["kpi"].keys() == {"hour", "day"}
    assert line["kpi"]["hour"]["rollup"]["machines"] == ["filler"]
    assert "signals" not in line["devices"]["filler_plc"]
    signals = json.loads((await one.get("/api/line?signals"))[1])["devices"]["filler_plc"]["signals"]
    assert 0 < signals["running"].pop("at_ms") <= time.time() * 1000
    assert signals["running"] == {"value": True, "quality": "good", "why": None}
    assert 90 < signals["level"]["value"] < 110


async def test_the_page_and_its_files_come_packed_and_once(one: Daemon) -> None:
    """Nothing from elsewhere is allowed, no other page may frame it, and what a browser has it gets no second time."""
    async with aiohttp.ClientSession(one.url) as session:
        async with session.get("/") as answer:
            index = await answer.text()
            assert (answer.status, answer.content_type) == (200, "text/html")
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self';")
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert f'data-version="{__version__}"' in index
        for name in re.findall(r'(?:src|href)="(assets/[^"]+)"', index):
            async with session.get(f"/{name}", headers={"Accept-Encoding": "gzip"}) as packed:
                assert (packed.status, packed.headers["Content-Encoding"]) == (200, "gzip")
                tag = packed.headers["ETag"]
                content = await packed.read()
            async with session.get(f"/{name}", headers={"Accept-Encoding": "identity"}) as plain:
                assert await plain.read() == content
            async with session.get(f"/{name}", headers={"If-None-Match": tag}) as again:
                assert (again.status, again.headers["Cache-Control"], await again.read()) == (304, "no-cache", b"")
        for absent in ("vendor/README.md", "../routes.py", "%2e%2e/routes.py", "none.js"):
            async with session.get(URL(f"{one.url}/assets/{absent}", encoded=True)) as answer:
                assert answer.status == 404


async def test_metrics_are_openmetrics_with_documented_names(one: Daemon) -> None:
    status, text = await one.get("/metrics")
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
    assert all(name.startswith("linegate_") for name in families)
    assert families["linegate_device_up"].samples[0].value == 1
    assert families["linegate_endpoint_requests"].samples[0].value > 0
    documented = Path(__file__).parents[3].joinpath("docs", "operations.md").read_text()
    missing = [
        sample.name for family in families.values() for sample in family.samples if f"`{sample.name}`" not in documented
    ]
    assert missing == []
    counters = {f"linegate_endpoint_{name}" for name in counted(LinkStats)}
    counters |= {f"linegate_buffer_{name}" for name in counted(OutboxStats) - {"pending", "quarantined", "size_bytes"}}
    counters |= {f"linegate_uplink_{name}_events" for name in counted(UplinkStats) - {"reconnects"}}
    assert {name for name in counters if name not in families or families[name].type != "counter"} == set()


def counted(stats: type[DataclassInstance]) -> set[str]:
    return {field.name for field in fields(stats) if field.type == "int"}


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "evil.example:8480"}, {"Origin": "http://evil.example"}]
)
async def test_other_hosts_and_origins_are_refused(one: Daemon, headers: dict[str, str]) -> None:
    for path in ("/api/line", "/metrics", "/health", "/livez"):
        assert (await one.get(path, **headers))[0] == 403


async def test_own_names_are_accepted(one: Daemon) -> None:
    for host in ("localhost:1", "127.0.0.1", "[::1]:8480"):
        assert (await one.get("/livez", Host=host))[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_reading(one: Daemon, method: str) -> None:
    async with aiohttp.ClientSession() as session, session.request(method, f"{one.url}/api/line", json={}) as answer:
        assert answer.status == 405
        assert (await answer.json()).keys() == {"why", "remedy"}


async def test_unknown_path(one: Daemon) -> None:
    assert (await one.get("/nothing"))[0] == 404


async def test_listens_on_loopback_alone(one: Daemon) -> None:
    port = int(one.url.rpartition(":")[2])
    with socket.socket() as probe:
        probe.settimeout(1)
        assert probe.connect_ex(("127.0.0.2", port)) != 0
