"""Our upload of symbols and templates, held against what pycomm3 uploads from the same controller."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pycomm3 import LogixDriver

from protocols.driver import LinkStats
from protocols.ethernet_ip.address import parse_tag
from protocols.ethernet_ip.controller import identify
from protocols.ethernet_ip.link import EipLink
from protocols.ethernet_ip.route import Hop
from protocols.ethernet_ip.symbols import list_symbols
from protocols.ethernet_ip.types import DataType, Symbol, Template
from tests.peers.logix_upload import from_upload
from tests.protocols.ethernet_ip.client import controller


def laid_out(kind: DataType) -> Any:
    """A type without what pycomm3 tells otherwise: names of its own for members that have none."""
    if not isinstance(kind, Template):
        return kind.name
    members = [(one.name, laid_out(one.type), one.offset, one.count, one.bit) for one in kind.members if not one.hidden]
    return kind.name, kind.handle, kind.size, members


def told(symbols: list[Symbol]) -> dict[str, Any]:
    """What is told of each symbol; pycomm3 1.2.16 loses the number of a bit above 7, which only Wide has."""
    return {
        one.name: (one.instance_id, one.dimensions, one.readable, laid_out(one.type))
        for one in symbols
        if one.name != "Wide"
    }


@pytest.mark.parametrize("size", [4000, 500, 200])
async def test_upload_is_what_pycomm3_uploads(size: int) -> None:
    """In pages and pieces of any size; pycomm3 with the largest."""
    async with controller(shows_all=True, extra_tags=100) as plc:

        def by_pycomm3() -> dict[str, Any]:
            with LogixDriver(f"127.0.0.1:{plc.port}/0") as driver:
                return dict(driver.tags)

        tags = await asyncio.to_thread(by_pycomm3)
        plc.manager.largest = size
        link = EipLink((Hop(1, 0),), 5.0, LinkStats())
        await link.open("127.0.0.1", plc.port)
        await link.open_connection()
        plc.reset_counts()
        ours = await list_symbols(link, await identify(link), [parse_tag(name) for name in tags])
        assert plc.counts["get_instance_attribute_list"] > {4000: 2, 500: 8, 200: 20}[size], "in pages"
        await link.close()
    assert ours is not None
    assert len(ours) > 150
    assert told(ours) == told(from_upload(tags))


async def test_only_what_is_named_is_uploaded() -> None:
    async with controller(shows_all=True) as plc:
        link = EipLink((Hop(1, 0),), 5.0, LinkStats())
        await link.open("127.0.0.1", plc.port)
        await link.open_connection()
        identity = await identify(link)
        plc.reset_counts()
        found = await list_symbols(link, identity, [parse_tag("Main_Valve.Cycles")])
        assert plc.counts["read_tag"] == plc.counts["get_attribute_list"] == 1, "one template"
        await link.close()
    assert found is not None
    assert not any(one.in_program for one in found)
