"""One HTTP connection against a server that sends what it likes, byte by byte and never ending."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from gateway.uplinks.http.connection import MAX_BODY, Answer, Broken, Connection

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Reads one request, then sends the given bytes in the given pieces."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = [GOOD]
        self.closes = False
        self.port = 0
        self._server: asyncio.Server | None = None
        self.requests: list[bytes] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")) is not None:
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                for piece in self.pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    yield server
    await server.stop()


async def ask(connection: Connection, body: bytes = b"[1]") -> Answer:
    async with asyncio.timeout(5):
        return await connection.post("/x", [("Host", "h"), ("Content-Length", str(len(body)))], body)


async def test_an_answer_in_any_pieces(server: Server) -> None:
    answers = [
        GOOD,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
    ]
    connection = await Connection.open("127.0.0.1", server.port, None)
    for answer in answers:
        for pieces in ([answer], [bytes([byte]) for byte in answer]):
            server.pieces = pieces
            got = await ask(connection)
            assert (got.status, got.body) == (200, b"ok")
            assert connection.is_usable
    assert server.requests[0] == b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n[1]"
    connection.close()
    connection.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nok",
    ],
)
async def test_an_answer_that_ends_the_connection(server: Server, answer: bytes) -> None:
    server.pieces, server.closes = [answer], True
    connection = await Connection.open("127.0.0.1", server.port, None)
    got = await ask(connection)
    assert (got.status, got.body) == (200, b"ok")
    assert not connection.is_usable


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"\x00\x01\x02\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
async def test_what_is_no_answer(server: Server, answer: bytes) -> None:
    server.pieces, server.closes = [answer], True
    connection = await Connection.open("127.0.0.1", server.port, None)
    with pytest.raises(Broken):
        await ask(connection)
    assert not connection.is_usable


async def test_an_answer_without_end_is_cut(server: Server) -> None:
    server.pieces = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        *[b"1000\r\n" + b"x" * 4096 + b"\r\n"] * 99,
    ]
    connection = await Connection.open("127.0.0.1", server.port, None)
    got = await ask(connection)
    assert (got.status, len(got.body)) == (200, MAX_BODY)
    assert not connection.is_usable


async def test_what_comes_unasked_ends_the_connection(server: Server) -> None:
    server.pieces = [GOOD + b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"]
    connection = await Connection.open("127.0.0.1", server.port, None)
    assert (await ask(connection)).status == 200
    assert not connection.is_usable


async def test_what_a_server_says_as_it_ends_tls(authority: tuple[trustme.CA, Path]) -> None:
    """With TLS 1.3 it asks for a client certificate when the client is connected already (RFC 8446, 4.4.2.4)."""
    _, directory = authority
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(directory / "server.pem", directory / "server.key")
    theirs.verify_mode = ssl.CERT_REQUIRED
    listening = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        plain, _ = listening.accept()
        with theirs.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as secured:
            with contextlib.suppress(ssl.SSLError):
                secured.do_handshake()
            while socket.socket.recv(secured, 65_536):  # what is left unread would reset the connection
                pass

    thread = threading.Thread(target=refuse)
    thread.start()
    context = ssl.create_default_context(cafile=directory / "ca.pem")
    connection = await Connection.open("127.0.0.1", listening.getsockname()[1], context)
    with pytest.raises(Broken, match=r"the server ended TLS: .*certificate required"):
        await ask(connection)
    await asyncio.get_running_loop().run_in_executor(None, thread.join)
    listening.close()


async def test_a_refusal_is_heard_before_everything_is_sent() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        await release.wait()
        writer.close()

    release = asyncio.Event()
    server = await asyncio.start_server(refuse, "127.0.0.1", 0, limit=1024)
    connection = await Connection.open("127.0.0.1", server.sockets[0].getsockname()[1], None)
    assert (await ask(connection, b"x" * 20_000_000)).status == 413
    release.set()
    server.close()
    await server.wait_closed()


async def test_giving_up_while_connecting_leaves_nothing_behind(authority: tuple[trustme.CA, Path]) -> None:
    """At any moment: sockets that nobody closes would be warnings, and warnings are errors."""
    _, directory = authority
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(directory / "server.pem", directory / "server.key")
    context = ssl.create_default_context(cafile=directory / "ca.pem")
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=theirs)
    port = server.sockets[0].getsockname()[1]
    given_up = 0
    for attempt in range(40):
        try:
            async with asyncio.timeout(0.0004 * attempt):
                (await Connection.open("127.0.0.1", port, context)).close()
        except TimeoutError:
            given_up += 1
    assert given_up
    (await Connection.open("127.0.0.1", port, context)).close()
    server.close()
    await server.wait_closed()
