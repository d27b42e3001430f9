"""The driver against a server that is not ours: cpppo, as a process of its own, which is never imported here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from protocols.driver import ConnectFailed
from protocols.ethernet_ip import project
from protocols.ethernet_ip.controller import Identity
from tests.processes import free_port, until
from tests.protocols.ethernet_ip.client import reading

CPPPO = str(Path(__file__).parents[2] / "peers" / "cpppo" / ".venv" / "bin" / "python")
TAGS = {"Speed": "REAL", "Count": "DINT", "Total": "LINT", "Small": "SINT", "Flag": "BOOL", "Array": "INT[300]"}
WRITTEN = {"Speed": 42.5, "Count": -7, "Total": -(1 << 40), "Small": -5, "Flag": 1} | {
    f"Array[{n}]": 3 * n - 400 for n in range(300)
}
SIGNALS: dict[str, Any] = {
    **{name.replace("[", "_").strip("]"): name for name in WRITTEN},
    "bit": "Count.31",
    "name": {"object": {"class": 1, "attribute": 7, "type": "short_string"}},
    "gone": "Gone",
}


@asynccontextmanager
async def cpppo() -> AsyncIterator[int]:
    """A server with `TAGS` that hold `WRITTEN`; its port. Another of its programs writes them."""
    assert Path(CPPPO).exists(), "cpppo is missing: make test installs it, or sh scripts/cpppo_peer.sh"
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        CPPPO, "-m", "cpppo.server.enip", "--address", f"127.0.0.1:{port}",
        *(f"{name}={kind}" for name, kind in TAGS.items()),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await until(lambda: accepts(port))
        kinds = {name: kind.partition("[")[0] for name, kind in TAGS.items()}
        whole = ",".join(str(WRITTEN[f"Array[{n}]"]) for n in range(300))
        writes = [f"{name}=({kinds[name]}){value}" for name, value in WRITTEN.items() if "[" not in name]
        client = await asyncio.create_subprocess_exec(
            CPPPO, "-m", "cpppo.server.enip.client", "--address", f"127.0.0.1:{port}",
            *writes, f"Array[0-299]=(INT){whole}", stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert await asyncio.wait_for(client.wait(), 60) == 0
        yield port
    finally:
        server.terminate()
        await asyncio.wait_for(server.wait(), 60)


async def accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.mark.parametrize("slot", [0, "none"])
async def test_values_of_another_stack(monkeypatch: pytest.MonkeyPatch, slot: object) -> None:
    """It says that it is a Logix controller and has no list of symbols, at whose request it ends the session."""

    async def no_list(*_: object) -> None:
        return None

    monkeypatch.setattr(project, "list_symbols", no_list)
    monkeypatch.setattr(Identity, "is_logix", property(lambda _: False))
    async with cpppo() as port, reading(port, SIGNALS, slot=slot, timeout="5s") as one:
        await one.read()
        values = one.values()
        assert list(values.values())[: len(WRITTEN)] == list(WRITTEN.values())
        assert values["bit"] is True
        assert values["name"] == "1756-L61/B LOGIX5561"
        assert one.whys().keys() == {"gone"}
        sent, refused = one.stats.requests, one.stats.request_errors
        await one.read()
        assert one.stats.requests - sent <= 4, "its replies are small"
        assert one.stats.request_errors == refused, "which is known by now"


async def test_server_that_ends_the_session_is_told_as_it_is() -> None:
    async with cpppo() as port:
        with pytest.raises(ConnectFailed, match="a frame was refused"):
            async with reading(port, SIGNALS, timeout="5s"):
                pass
