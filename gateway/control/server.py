"""The daemon's end of the control socket: one request a connection, answered item by item as the asker takes them."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import structlog

from gateway.control.wire import LONGEST_PATH, MAX_LINE, Refused

REQUEST_S = 5.0
IDLE_S = 60.0
"""An asker that takes nothing for so long is left."""
MOST_CONNECTIONS = 8

Handler: TypeAlias = Callable[[Mapping[str, Any]], AsyncIterator[Mapping[str, Any]]]
"""Answers a request with items. Raises Refused before it has done anything."""

log = structlog.get_logger("control")


class ControlServer:
    """Listens on one socket of mode 0600, for the user that the daemon runs as, and root."""

    def __init__(self, listening: socket.socket, handlers: Mapping[str, Handler]) -> None:
        """`listening` by `listen`; `handlers` by the name in `do`."""
        self._socket = listening
        self._handlers = handlers
        self._open = 0

    async def run(self) -> None:
        """Answer until cancelled."""
        server = await asyncio.start_unix_server(self._connection, sock=self._socket, limit=MAX_LINE)
        await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What else goes wrong is logged with its traceback by asyncio, and the asker sees the answer end."""
        self._open += 1
        try:
            if not _may_ask(writer):
                return
            if self._open > MOST_CONNECTIONS:
                raise Refused(f"{MOST_CONNECTIONS} commands are being answered already", "try again")
            async with asyncio.timeout(REQUEST_S):
                request = orjson.loads(await reader.readline())
            await self._answer(request, writer)
        except Refused as refused:
            with suppress(OSError):
                await _send(writer, {"refused": refused.why, "remedy": refused.remedy})
        except (TimeoutError, ValueError, OSError) as error:  # no request, or nobody who takes the answer
            log.debug("control_left", error=repr(error))
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, request: Any, writer: asyncio.StreamWriter) -> None:
        name = request.get("do") if isinstance(request, dict) else None
        handler = self._handlers.get(name) if isinstance(name, str) else None
        if handler is None:
            raise Refused(f"this daemon does not know {name!r}", "use the command line of the daemon's version")
        async for item in handler(request):
            await _send(writer, {"item": item})
        await _send(writer, {"done": {}})


async def _send(writer: asyncio.StreamWriter, line: Mapping[str, Any]) -> None:
    """Raises OSError where nobody takes it."""
    if writer.is_closing():  # uvloop would call it a bug of ours
        raise ConnectionResetError("nobody takes the answer")
    writer.write(orjson.dumps(line) + b"\n")
    async with asyncio.timeout(IDLE_S):
        await writer.drain()


def listen(path: Path) -> socket.socket | None:
    """A socket of mode 0600 at `path`, not on the loop; None where there can be none, which costs the commands alone.

    Whoever has the buffer's lock may replace what another left behind, so that nobody needs to remove it at the end.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.fchmod(listening.fileno(), 0o600)  # before it has a name: nobody can connect in between
        listening.bind(os.fspath(path))
    except OSError as error:
        listening.close()
        remedy = f"{path.parent} must be writable, and the path no longer than {LONGEST_PATH} bytes"
        log.warning("control_off", path=str(path), why=str(error), remedy=remedy)
        return None
    return listening


def _may_ask(writer: asyncio.StreamWriter) -> bool:
    """The mode of the socket says it already; a directory that was copied with other modes must not open it."""
    peer = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return uid in (0, os.getuid())
