"""The Modbus driver over TCP, RTU, RTU over TCP and TLS, against two stacks that are not ours."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from pymodbus.framer import FramerType

from protocols.driver import ConfigError, ConnectFailed, LinkError
from tests.peers.master import Master, every_type_and_order, own, reading, rtu, rtu_over_tcp, tcp
from tests.peers.peer import Unit, pty_peer, tcp_peer
from tests.peers.processes import line_to, pty_pair, rtu_slave, serial_server, tcp_slave
from tests.peers.servers import pymodbus_server

Place = Callable[[Path, Path], AbstractAsyncContextManager[dict[str, Any]]]
"""From the slave's program and a folder to the transport part of a device's configuration."""


@asynccontextmanager
async def tcp_to_libmodbus(slave: Path, place: Path) -> AsyncIterator[dict[str, Any]]:
    async with tcp_slave(slave, 1) as port:
        yield tcp(port)


@asynccontextmanager
async def tcp_to_pymodbus(slave: Path, place: Path) -> AsyncIterator[dict[str, Any]]:
    async with pymodbus_server() as port:
        yield tcp(port)


@asynccontextmanager
async def rtu_to_libmodbus(slave: Path, place: Path) -> AsyncIterator[dict[str, Any]]:
    async with pty_pair(place) as (near, far), rtu_slave(slave, far, 1):
        yield rtu(near)


@asynccontextmanager
async def rtu_to_pymodbus(slave: Path, place: Path) -> AsyncIterator[dict[str, Any]]:
    async with pymodbus_server(FramerType.RTU) as port, line_to(place, port) as line:
        yield rtu(line)


@asynccontextmanager
async def rtu_over_tcp_to_libmodbus(slave: Path, place: Path) -> AsyncIterator[dict[str, Any]]:
    async with serial_server(place) as (port, line), rtu_slave(slave, line, 1):
        yield rtu_over_tcp(port)


@asynccontextmanager
async def rtu_over_tcp_to_pymodbus(slave: Path, place: Path) -> AsyncIterator[dict[str, Any]]:
    async with pymodbus_server(FramerType.RTU) as port:
        yield rtu_over_tcp(port)


PLACES: list[Place] = [
    tcp_to_libmodbus,
    tcp_to_pymodbus,
    rtu_to_libmodbus,
    rtu_to_pymodbus,
    rtu_over_tcp_to_libmodbus,
    rtu_over_tcp_to_pymodbus,
]


@pytest.mark.parametrize("where", PLACES)
async def test_every_type_in_every_order(where: Place, slave: Path, tmp_path: Path) -> None:
    signals, values = every_type_and_order()
    async with where(slave, tmp_path) as transport, reading(transport, signals, timeout="2s") as master:
        await master.read()
        assert master.values() == values
        assert master.stats.timeouts == master.stats.request_errors == 0
        assert (await master.read()).changes == []


@pytest.mark.parametrize("where", [tcp_to_libmodbus, rtu_to_libmodbus, rtu_over_tcp_to_libmodbus])
async def test_largest_requests(where: Place, slave: Path, tmp_path: Path) -> None:
    """125 registers, 2,000 bits, and whatever lies beyond in a second request."""
    signals = own(*(f"holding:{n}" for n in range(126)), *(f"coil:{n}" for n in range(2001)))
    async with where(slave, tmp_path) as transport, reading(transport, signals, timeout="2s") as master:
        await master.read()
        assert master.bad() == set()
        on_a_line = transport["protocol"] != "modbus_tcp"
        assert master.stats.requests == 4 + on_a_line, "a line's first reply is preceded by a fence, and no other"
        await master.read()
        assert master.stats.requests == 8 + on_a_line


@pytest.mark.parametrize("in_flight", [1, 2, 8, 32])
async def test_requests_in_flight(in_flight: int, slave: Path, tmp_path: Path) -> None:
    signals = own(*(f"holding:{n}" for n in range(0, 4000, 50)))
    async with tcp_slave(slave, 1) as port, reading(tcp(port), signals, in_flight=in_flight) as master:
        for _ in range(5):
            await master.read()
            assert master.bad() == set()


async def test_slave_that_counts_up_is_followed(slave: Path) -> None:
    signals = {"count": {"address": "holding:100", "type": "uint16"}}
    async with tcp_slave(slave, 1, "--count-up") as port, reading(tcp(port), signals) as master:
        seen = [(await master.read()).changes[0][1] for _ in range(5)]
        assert seen == [100, 101, 102, 103, 104]


@pytest.mark.parametrize("where", ["tcp", "rtu"])
async def test_hole_that_libmodbus_refuses(where: str, slave: Path, tmp_path: Path) -> None:
    signals = own(*(f"holding:{n}" for n in range(40)))
    hole = ("--hole", "17-18")

    async def check(master: Master) -> None:
        await master.until(lambda: len(master.bad()) <= 2, "the hole alone is bad")
        assert master.bad() == {"holding_17", "holding_18"}

    if where == "tcp":
        async with tcp_slave(slave, 1, *hole) as port, reading(tcp(port), signals) as master:
            await check(master)
    else:
        async with pty_pair(tmp_path) as (near, far), rtu_slave(slave, far, 1, *hole):
            async with reading(rtu(near), signals) as master:
                await check(master)


# TLS

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whom the PLC and the gateway trust."""
    return trustme.CA()


@pytest.fixture
def certificates(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """The gateway's own files."""
    ca, certificate, key = (tmp_path / name for name in ("ca.pem", "gateway.pem", "gateway.key"))
    authority.cert_pem.write_to_path(ca)
    mine = authority.issue_cert("gateway.example")
    mine.cert_chain_pems[0].write_to_path(certificate)
    mine.private_key_pem.write_to_path(key)
    return {"ca": str(ca), "certificate": str(certificate), "private_key": str(key)}


def server_side(authority: trustme.CA, *names: str, wants_client: bool = False) -> ssl.SSLContext:
    """The PLC's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    if wants_client:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def tls(port: int, **files: str) -> dict[str, Any]:
    return {"protocol": "modbus_tls", "host": HOST, "port": port, "tls": files}


@pytest.mark.parametrize("wants_client", [False, True])
async def test_tls(wants_client: bool, authority: trustme.CA, certificates: dict[str, str]) -> None:
    signals, values = every_type_and_order()
    context = server_side(authority, HOST, wants_client=wants_client)
    async with pymodbus_server(context=context) as port:
        async with reading(tls(port, **certificates), signals, timeout="2s") as master:
            await master.read()
            assert master.values() == values


async def test_tls_with_requests_in_flight(authority: trustme.CA, certificates: dict[str, str]) -> None:
    """pymodbus's server loses the second of two requests that come together, so that the peer is our own."""
    signals = own(*(f"holding:{n}" for n in range(0, 2000, 50)))
    async with tcp_peer("mbap", {1: Unit()}, context=server_side(authority, HOST)) as peer:
        async with reading(tls(peer.port, **certificates), signals, in_flight=8) as master:
            await master.read()
            assert master.good()
    assert len(peer.asked) == 40


async def test_tls_with_a_name_of_its_own(authority: trustme.CA, certificates: dict[str, str]) -> None:
    context = server_side(authority, "plc-7.example")
    async with pymodbus_server(context=context) as port:
        transport = tls(port, ca=certificates["ca"], server_name="plc-7.example")
        async with reading(transport, own("holding:5")) as master:
            await master.read()
            assert master.good()


async def refusal(port: int, **files: str) -> LinkError:
    """What the driver says; TLS 1.3 tells of a missing client certificate only at the first read."""
    with pytest.raises(LinkError) as error:
        async with reading(tls(port, **files), own("holding:5")) as master:
            await master.read()
    assert error.value.why
    assert error.value.remedy
    return error.value


async def test_tls_certificate_of_another_authority(authority: trustme.CA, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    async with pymodbus_server(context=server_side(authority, HOST)) as port:
        error = await refusal(port, ca=str(other))
    assert isinstance(error, ConnectFailed | ConfigError)
    assert "tls.ca" in error.remedy or "certificate" in error.why


async def test_tls_certificate_of_another_host(authority: trustme.CA, certificates: dict[str, str]) -> None:
    async with pymodbus_server(context=server_side(authority, "plc-8.example")) as port:
        error = await refusal(port, ca=certificates["ca"])
    assert isinstance(error, ConnectFailed | ConfigError)
    assert "name" in error.why + error.remedy


async def test_tls_that_wants_a_certificate_of_ours(authority: trustme.CA, certificates: dict[str, str]) -> None:
    context = server_side(authority, HOST, wants_client=True)
    async with pymodbus_server(context=context) as port:
        error = await refusal(port, ca=certificates["ca"])
    assert "certificate" in error.why + error.remedy


async def test_tls_file_that_is_not_there(authority: trustme.CA, tmp_path: Path) -> None:
    async with pymodbus_server(context=server_side(authority, HOST)) as port:
        error = await refusal(port, ca=str(tmp_path / "missing.pem"))
    assert isinstance(error, ConfigError)
    assert "missing.pem" in error.why + error.remedy


@pytest.mark.parametrize("answer", [b"\0\1\0\0\0\3\1\x83\1", b""], ids=["modbus", "nothing"])
async def test_tls_to_a_port_without_it(
    answer: bytes, certificates: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that answers in plain, and one that takes the connection and stays silent."""
    monkeypatch.setattr("protocols.modbus.mbap.DIAL_S", 1.0)
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
            writer.write(answer)
            await reader.read()
        finally:
            writer.close()
            gone.set()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        async with asyncio.timeout(30):
            error = await refusal(server.sockets[0].getsockname()[1], ca=certificates["ca"])
            await gone.wait()
    finally:
        server.close()
    assert isinstance(error, ConnectFailed)


# Serial lines that cannot be had


@pytest.mark.parametrize("parity", ["even", "odd"])
async def test_parity_that_the_line_refuses_is_said_in_words(parity: str) -> None:
    async with pty_peer({1: Unit()}) as peer:
        with pytest.raises((ConnectFailed, ConfigError)) as error:
            async with reading(rtu(peer.path, parity=parity), own("holding:5")):
                pass
    assert peer.path in error.value.why
    assert "parity" in error.value.why + error.value.remedy
    assert "Traceback" not in error.value.why


async def test_line_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "ttyS9"
    with pytest.raises((ConnectFailed, ConfigError), match="ttyS9") as error:
        async with reading(rtu(path), own("holding:5")):
            pass
    assert error.value.remedy


async def test_path_that_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a terminal")
    with pytest.raises((ConnectFailed, ConfigError), match=r"notes\.txt") as error:
        async with reading(rtu(path), own("holding:5")):
            pass
    assert error.value.remedy
    assert path.read_text() == "not a terminal"


async def test_line_is_given_back(slave: Path, tmp_path: Path) -> None:
    """Closing leaves no descriptor behind, so that the next driver can open the line."""
    async with pty_pair(tmp_path) as (near, far), rtu_slave(slave, far, 1):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            async with reading(rtu(near), own("holding:5")) as master:
                await master.read()
                assert master.good()
        assert len(os.listdir("/proc/self/fd")) <= before
