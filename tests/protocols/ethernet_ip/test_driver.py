"""The driver against a controller over real sockets: every type, few packets, and a project that changes."""

from __future__ import annotations

from protocols.simulated.ethernet_ip.showcase import SHOWN
from tests.protocols.ethernet_ip.client import controller, reading
from tests.protocols.ethernet_ip.controller import asked, leaves

HOSTS = {"Wide.Low": 1 << 17, "Wide.High": -(1 << 31)}
"""Words that bits lie in."""
EVERYTHING = dict(leaf for one in SHOWN if one.name != "Secret" for leaf in leaves(one)) | HOSTS


async def test_every_tag_of_every_type_has_its_value() -> None:
    async with controller(shows_all=True) as plc, reading(plc.port, asked(EVERYTHING)) as client:
        await client.read()
        assert dict(zip(EVERYTHING, client.values().values(), strict=True)) == EVERYTHING
        assert not client.notices
        types = {one.type for one in client.learned.values()}
        assert types >= {"bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "string"}
        assert types >= {"float32", "float64"}
