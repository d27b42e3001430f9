"""`linegate discover` as a process: what it prints passes `check`, and the daemon reads every signal of it as good."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from gateway.check import check_file
from gateway.cli import main
from gateway.discover.command import hide_typed_password
from gateway.discover.targets import PASSWORD_ENV, Options, Security
from protocols.discovery import Discovery
from tests.peers.opcua.pki import PASSWORD, USER
from tests.peers.opcua.processes import asyncua_server, node_opcua_server
from tests.processes import daemon, free_port, linegate, until

MINIMAL = """
line: {enterprise: acme, site: berlin, area: filling, name: line-3}
buffer: {path: line-3.db}
"""


async def run(*arguments: str, command: str = "discover") -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `linegate discover`, or of another command."""
    return await linegate(command, *arguments)


@asynccontextmanager
async def controller(*arguments: str) -> AsyncIterator[str]:
    """The labeler's controller as a process; its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "protocols.simulated.ethernet_ip", "--quit-on-eof", "--chaos", "off", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        yield f"eip://127.0.0.1:{ready['port']}"
    finally:
        process.stdin.close()
        code = await asyncio.wait_for(process.wait(), 60)
    assert code == 0, "it was asked for more than reading"


@asynccontextmanager
async def machines(make: Callable[..., Any]) -> AsyncIterator[str]:
    async with make("--machines") as server:
        yield server.url


@asynccontextmanager
async def line(*arguments: str) -> AsyncIterator[dict[str, int]]:
    """The simulated line as a process; its ports."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "protocols.simulated", "--quit-on-eof", "--chaos", "off", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    finally:
        process.stdin.close()
        code = await asyncio.wait_for(process.wait(), 60)
    assert code == 0, "it was asked for more than reading"


@asynccontextmanager
async def capper() -> AsyncIterator[str]:
    """The simulated line's capper; its URL."""
    async with line("--capper", "0") as ports:
        yield f"opc.tcp://127.0.0.1:{ports['capper']}/plant"


@asynccontextmanager
async def filler(*arguments: str) -> AsyncIterator[str]:
    """The simulated line's filler; its URL."""
    async with line(*arguments) as ports:
        yield f"modbus://127.0.0.1:{ports['port']}"


PEERS: dict[str, Callable[[], AbstractAsyncContextManager[str]]] = {
    "asyncua": lambda: machines(asyncua_server),
    "node-opcua": lambda: machines(node_opcua_server),
    "capper": capper,
    "filler": filler,
    "labeler": controller,
    "showcase": lambda: controller("--showcase"),
}
MORE = {"filler": ("--range", "0-30", "--rate", "1000")}


@pytest.mark.parametrize("peer", PEERS)
async def test_what_is_printed_passes_check_and_every_signal_is_good(peer: str, tmp_path: Path) -> None:
    async with PEERS[peer]() as url:
        code, printed, said = await run(url, "--rate", "200", "--arrays", *MORE.get(peer, ()))
        assert code == 0, said
        pasted = tmp_path / "pasted.yaml"
        pasted.write_text(MINIMAL + printed)
        findings = io.StringIO()
        assert await asyncio.to_thread(check_file, pasted, findings) == 0, findings.getvalue()
        document = YAML(typ="safe").load(pasted.read_text())
        (device,) = document["devices"]
        wanted = set(document["devices"][device]["signals"])
        document["health"] = {"listen": f"127.0.0.1:{free_port()}"}
        async with daemon(tmp_path, document) as running:

            async def signals() -> dict[str, Any] | None:
                line = json.loads((await running.get("/api/line?signals"))[1])
                found: dict[str, Any] = line["devices"][device]["signals"]
                return found if found and all(one["quality"] == "good" for one in found.values()) else None

            async def bad() -> dict[str, Any]:
                line = json.loads((await running.get("/api/line?signals"))[1])
                return {k: v for k, v in line["devices"][device]["signals"].items() if v["quality"] != "good"}

            try:
                assert set(await until(signals, 20)) == wanted
            except AssertionError:
                assert not await bad()
                raise
            states = {name: one["state"] for name, one in (await running.line())["machines"].items()}
            assert "undefined" not in states.values()
            assert "unknown" not in states.values(), states
            await running.stop()


async def test_units_of_one_endpoint_are_devices_of_one_section(tmp_path: Path) -> None:
    async with filler("--units", "2", "--extra-registers", "3") as url:
        code, printed, said = await run(url, "--units", "1-3", "--range", "999-1003", "--rate", "1000")
        assert code == 0, said
        pasted = tmp_path / "pasted.yaml"
        pasted.write_text(MINIMAL + printed)
        code, *findings = await run(str(pasted), "--connect", "--state-dir", str(tmp_path), command="check")
        assert code == 0, findings
    first = said.splitlines()[0]
    assert "as units 1..3: who it is" in first
    assert "over one connection: 18 requests (1s) where all can be read, at most 126 requests (1s) where" in first
    assert "nothing is written" in first
    assert said.splitlines()[-1].startswith("8 signals proposed; ")
    assert "nobody there: unit 3: exception 11" in printed
    devices = YAML(typ="safe").load(printed)["devices"]
    assert [one["unit_id"] for one in devices.values()] == [1, 2]
    assert list(devices) == ["simulated_filler_unit_1", "simulated_filler_unit_2"]
    for device in devices.values():
        proposed = {f"holding_{at}": {"address": f"holding:{at}", "type": "uint16"} for at in range(1000, 1004)}
        assert device["signals"] == proposed


async def test_json_has_everything() -> None:
    async with controller() as url:
        code, printed, said = await run(url, "--json", "--match", "Labeler_Running")
    assert code == 0
    found = json.loads(printed)
    running = next(one for one in found["signals"] if one["address"] == {"tag": "Labeler_Running"})
    assert running["name"].startswith("labeler_running")
    assert found["settings"]["slot"] == 0
    assert "nothing is written" in said.splitlines()[0]
    assert "one session" in said.splitlines()[0]
    assert said.splitlines()[-1].endswith("requests")


async def test_a_secured_server_is_trusted_first_and_then_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_PASSWORD", PASSWORD)
    state, policy = ("--state-dir", str(tmp_path / "line-3")), "Basic256Sha256"
    async with asyncua_server("--pki", str(tmp_path / "pki"), "--policies", policy) as server:
        code, _, said = await run(server.url, *state)
        assert code == 1
        assert "it offers Basic256Sha256 with sign, Basic256Sha256 with sign_and_encrypt" in said
        assert "pin its certificate with --trust" in said
        entered = (*state, "--policy", policy, "--user", USER, "--password-env", "THE_PASSWORD")
        code, _, said = await run(server.url, *entered)
        assert (code, "or run `linegate discover URL --trust`" in said) == (1, True), said
        code, shown, _ = await run(server.url, *state, "--trust")
        assert code == 1, "nobody was there to be asked"
        assert "fingerprint (SHA-256)" in shown
        code, shown, said = await run(server.url, *state, "--trust", "--yes")
        assert code == 0, said
        code, printed, said = await run(server.url, *entered, "--match", "Pressure")
        assert code == 0, said
    device = next(iter(YAML(typ="safe").load(printed)["devices"].values()))
    assert device["security"] == {"policy": policy}
    assert device["user"] == {"name": USER, "password": {"env": "THE_PASSWORD"}}
    assert PASSWORD not in printed + said


def test_a_password_that_is_typed_becomes_a_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_ENV, "geheim")
    user = {"name": "gateway", "password": {"env": PASSWORD_ENV}, "allow_plain_password": True}
    found = Discovery("opc.tcp://h", "capper", settings={"protocol": "opcua", "user": user})
    hide_typed_password(found, Options(20, Path("state"), None, Security(user="gateway", password_env=PASSWORD_ENV)))
    assert found.settings["user"] == {**user, "password": {"credential": "capper_password"}}


async def test_nothing_there_is_trouble() -> None:
    code, printed, said = await run(f"opc.tcp://127.0.0.1:{free_port()}")
    assert (code, printed) == (1, "")
    assert said.splitlines()[-1].endswith("check that the server runs and listens on that port")


async def test_nothing_that_fits_is_trouble(tmp_path: Path) -> None:
    async with machines(asyncua_server) as url:
        code, printed, _ = await run(url, "--match", "nobody-has-this")
    assert code == 1
    assert "nothing that can be proposed was found" in printed
    assert YAML(typ="safe").load(printed) is None


WRONG = {
    ("http://10.0.0.1",): "is nothing that discover can look at; there is an OPC UA server",
    ("10.0.0.1",): "is nothing that discover can look at",
    ("opc.tcp:///x",): "names no host",
    ("opc.tcp://h:99999",): "is not a URL",
    ("eip://h/3x",): "is no slot",
    ("eip://h/backplane/2/ip/3",): "a route is port and address in turn",
    ("eip://h/backplane/2/nowhere/3/0",): "is no port",
    ("eip://h", "--policy", "Basic256Sha256"): "are for OPC UA servers",
    ("eip://h", "--trust"): "--trust is for OPC UA servers",
    ("opc.tcp://h", "--root", "Speed"): "--root: ",
    ("opc.tcp://h", "--mode", "sign"): "policy none secures nothing",
    ("opc.tcp://h", "--yes"): "--yes answers --trust",
    ("opc.tcp://h", "--password-env", "X"): "--password-env is the password of --user",
    ("opc.tcp://h", "--user", "a", "--password-env", "X"): "others can read the password",
    ("opc.tcp://h", "--name", "line"): "neither line nor gateway",
    ("modbus://h/256",): 'the unit "256": write numbers of 0 to 255',
    ("modbus://h/1", "--units", "2"): "names a unit already",
    ("modbus://h", "--units", "9-1"): "write numbers of 0 to 255 like 1, 1-16 or 1-16,20",
    ("modbus://h", "--range", "0-65536"): '--range "0-65536": write numbers of 0 to 65535',
    ("modbus://h", "--range", "0-9,20"): "--range has a first and a last address",
    ("modbus://h", "--root", "i=85"): "are for OPC UA servers",
    ("modbus://h?unit=3",): "what is behind the ? is for serial lines",
    ("modbus://",): "host: ",
    ("rtu:/dev/ttyS0", "--units", "0-2"): "a unit is 1 to 247",
    ("rtu:/dev/ttyS0?baud=fast",): "serial.baud",
    ("rtu:/dev/ttyS0?speed=9600",): "serial.speed",
    ("rtu://dev/ttyS0",): "names no line; write it like rtu:/dev/ttyS0?baud=19200",
    ("eip://h", "--range", "0-9"): "--units and --range are for Modbus",
    ("opc.tcp://h", "--limit", "0"): "--limit",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_use(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, ["discover", *arguments])
    assert done.exit_code == 2
    assert WRONG[arguments] in done.stderr
    assert done.stdout == ""


def test_help_has_examples_of_each() -> None:
    said = CliRunner().invoke(main, ["discover", "--help"], terminal_width=120).output
    for part in ("opc.tcp://", "eip://", "modbus://", "rtu:/dev/", "--trust", "--match", "--password-env", "Examples:"):
        assert part in said


def test_the_daemon_imports_nothing_of_it() -> None:
    import subprocess

    code = "import gateway.app, gateway.service, sys; print([n for n in sys.modules if 'discover' in n])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
