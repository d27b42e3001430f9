"""Looking at OPC UA servers of both stacks: what is found, what is left out, and servers that mean harm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from protocols.discovery import Discovery, FoundSignal, Pace, Wishes
from protocols.driver import ConfigError, ConnectFailed
from protocols.opcua import browse
from protocols.opcua.discover import OpcuaTarget, discover_opcua
from protocols.opcua.found import node_text
from protocols.simulated.opcua_server import GuardedServer
from tests.peers.opcua.processes import OpcUaServer, asyncua_server, node_opcua_server
from tests.processes import free_port

SECTION = {"protocol": "opcua", "security": {"policy": "none"}}
assert OpcuaTarget({**SECTION, "endpoint": "opc.tcp://h"}).device  # the first one reads files, which a loop must not


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[asyncua_server, node_opcua_server])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[OpcUaServer]:
    async with request.param("--machines") as server:
        yield server


ARRAY = "an array of Int32; `index` takes an element of it"
"""Of a server that does not tell its dimensions."""


async def looked_at(
    url: str, rate: float = 1000, root: str = "i=85", references: int = 500, **wishes: Any
) -> Discovery:
    target = OpcuaTarget({**SECTION, "endpoint": url}, root, None, references)
    return await discover_opcua(target, Wishes(**wishes), Pace(rate), lambda line: None)


def by_place(found: Discovery) -> dict[str, FoundSignal]:
    return {"/".join(one.place): one for one in found.signals}


@pytest.mark.asyncio(loop_scope="module")
async def test_variables_become_signals(server: OpcUaServer) -> None:
    found = await looked_at(server.url)
    signals = by_place(found)
    pressure = signals["Test/Analog/Pressure"]
    assert (pressure.name, pressure.type, pressure.unit, pressure.value) == ("pressure", "float64", "bar", "2.25")
    assert pressure.address == {"node": "nsu=urn:linegate:test;s=Analog.Pressure"}
    assert pressure.notes == ("-1 to 10",)
    assert signals["Test/Enumerations/Mode"].notes == ("0 Idle, 1 Produce, 2 Clean",)
    weight = signals["Test/Structures/Weight/Gross"]
    assert (weight.name, weight.address["member"]) == ("weight_gross", "Gross")
    assert [text[:25] for what, text in found.facts if what == "offers"] == ["none; log-in by anonymous"]
    assert not any(one.place[0] == "Server" for one in found.signals)
    arrays = {"/".join(one.place): one.why for one in found.left_out}
    assert arrays["Test/Arrays/Int32"] in ("an array of 5 Int32; `index` takes an element of it", ARRAY)
    assert len({one.name for one in found.signals}) == len(found.signals) > 50


@pytest.mark.asyncio(loop_scope="module")
async def test_the_first_elements_of_arrays_where_they_are_wanted(server: OpcUaServer) -> None:
    signals = by_place(await looked_at(server.url, arrays=True, match=("Arrays",)))
    assert signals["Test/Arrays/Int32[0]"].address == {"node": "nsu=urn:linegate:test;s=Arrays.Int32", "index": 0}
    assert len(signals) > 10


@pytest.mark.asyncio(loop_scope="module")
async def test_machines_of_three_standards(server: OpcUaServer) -> None:
    found = await looked_at(server.url)
    machines = {one.name: one for one in found.machines}
    names = {one.name for one in found.signals}
    assert set(machines) == {"capper", "filler", "labeler"}
    assert "OPC 30050" in machines["capper"].recognised_by
    assert "OPC 40001" in machines["filler"].recognised_by
    assert "Weihenstephan" in machines["labeler"].recognised_by
    rules = {(one["state"], one.get("cause")): one["when"] for one in machines["capper"].settings["states"]}
    assert rules["execute", None] == f'{found.name}.execute_state_current_state == "Execute"'
    assert rules["aborted", None] == f'{found.name}.base_state_machine_current_state == "Aborted"'
    assert rules["suspended", "starved"].endswith(f"and {found.name}.equipment_starved")
    assert next(iter(rules)) == ("aborted", None), "inner state machines mean nothing while an outer one has stopped"
    assert machines["capper"].settings["parts"]["total"].endswith("processed_count_acc_count")
    assert machines["labeler"].settings["packml_state"]["numbering"] == "weihenstephan"
    assert machines["labeler"].settings["parts"] == {
        "total": f"{found.name}.ws_tot_packages", "scrap": f"{found.name}.ws_bad_packages",
    }  # fmt: skip
    assert "Manufacturer: ACME" in machines["filler"].notes
    executing = machines["filler"].settings["states"][0]
    assert executing["state"] == "execute"
    assert executing["when"].split(" ")[0].removeprefix(f"{found.name}.") in names


@pytest.mark.asyncio(loop_scope="module")
async def test_a_state_that_is_not_active_is_proposed_all_the_same(server: OpcUaServer) -> None:
    state = "Capper-BaseStateMachine-MachineState-ExecuteState-CurrentState"
    await server.tell("set", node=state, status="BadStateNotActive")
    try:
        found = await looked_at(server.url)
        signal = next(one for one in found.signals if one.name == "execute_state_current_state")
        assert signal.value.startswith("bad now: BadStateNotActive")
        assert "capper" in {one.name for one in found.machines}
    finally:
        await server.tell("set", node=state, value="Execute")


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_bad_is_left_out_with_the_reason(server: OpcUaServer) -> None:
    await server.tell("set", node="Analog.Pressure", status="BadSensorFailure")
    try:
        found = await looked_at(server.url, match=("Pressure",))
    finally:
        await server.tell("set", node="Analog.Pressure", value=2.25)
    assert found.signals == []
    (left,) = found.left_out
    assert left.why.startswith("BadSensorFailure")
    assert left.address["node"].endswith("Analog.Pressure")


@pytest.mark.asyncio(loop_scope="module")
async def test_limits_of_the_server_and_of_a_person(server: OpcUaServer) -> None:
    await server.tell("limit", MaxNodesPerRead=3, MaxNodesPerBrowse=2)
    try:
        found = await looked_at(server.url, limit=7, match=("Test",))
    finally:
        await server.tell("limit", MaxNodesPerRead=0, MaxNodesPerBrowse=0)
    assert len(found.signals) == 7
    assert any("beyond --limit 7" in note for note in found.notes)
    assert any("not asked for by --match" in note for note in found.notes)


@pytest.mark.asyncio(loop_scope="module")
async def test_names_are_the_same_with_and_without_a_filter(server: OpcUaServer) -> None:
    everything, some = by_place(await looked_at(server.url)), by_place(await looked_at(server.url, match=("Scalars",)))
    assert some
    assert all(everything[place].name == signal.name for place, signal in some.items())


@pytest.mark.asyncio(loop_scope="module")
async def test_a_root_and_a_depth(server: OpcUaServer) -> None:
    found = await looked_at(server.url, root="nsu=urn:linegate:test;s=Analog")
    assert [one.place for one in found.signals] == [("Pressure",)]
    shallow = await looked_at(server.url, depth=1)
    assert shallow.signals == []
    assert any("deeper than --depth 1" in note for note in shallow.notes)
    with pytest.raises(ConfigError, match="no namespace urn:nobody"):
        await looked_at(server.url, root="nsu=urn:nobody;s=x")


@pytest.mark.asyncio(loop_scope="module")
async def test_references_that_come_in_pieces() -> None:
    async with node_opcua_server() as server:
        whole = by_place(await looked_at(server.url))
        pieces = by_place(await looked_at(server.url, references=2))
        assert pieces.keys() == whole.keys()
        assert (await server.tell("counts"))["asked"]["BrowseNext"] > 20


@pytest.mark.asyncio(loop_scope="module")
async def test_requests_are_kept_apart(server: OpcUaServer) -> None:
    pace = Pace(100)
    now, waited = 0.0, []

    def due() -> float:
        waited.append(now)
        return 0.0

    pace.due = due  # type: ignore[method-assign]
    target = OpcuaTarget({**SECTION, "endpoint": server.url})
    await discover_opcua(target, Wishes(match=("Analog",)), pace, lambda line: None)
    before = (await server.tell("counts"))["asked"]
    assert len(waited) >= 8, "each request asks when it is due"
    assert before["Read"] > 0


@pytest.mark.asyncio(loop_scope="module")
async def test_nobody_there() -> None:
    with pytest.raises(ConnectFailed, match="refuses the connection"):
        await looked_at(f"opc.tcp://127.0.0.1:{free_port()}")


NASTY = [
    "<script>alert(1)</script>",
    "\x1b[2J\r\n",
    "a: {b}",
    "# x",
    "&/%;",
    "..",
    "/",
    "\u202eabc",
    "",
    "速度",
    "x" * 5000,
]


@asynccontextmanager
async def hostile() -> AsyncIterator[tuple[GuardedServer, int]]:
    """A server of this process, whose address space a test fills."""
    guard = GuardedServer("urn:evil:server", "evil\x1b[2J", "/x")
    await guard.prepare()
    index = await guard.server.register_namespace("urn:evil;50%")
    try:
        yield guard, index
    finally:
        await guard.close()
    assert not guard.violations


def refer(guard: GuardedServer, source: Any, target: Any) -> None:
    """A reference that asyncua's own way of adding them would refuse."""
    reference = ua.ReferenceDescription(
        ReferenceTypeId=ua.NodeId(ua.ObjectIds.Organizes),
        IsForward=True,
        NodeId=ua.ExpandedNodeId(target.nodeid.Identifier, target.nodeid.NamespaceIndex),
        BrowseName=ua.QualifiedName("Again"),
        NodeClass=ua.NodeClass.Object,
    )
    guard.server.iserver.aspace[source.nodeid].references.append(reference)


@pytest.mark.asyncio(loop_scope="module")
async def test_names_that_mean_harm_are_values_of_texts() -> None:
    async with hostile() as (guard, index):
        for number, name in enumerate(NASTY):
            node_id, browse_name = ua.NodeId(f"{number}{name[:4000]}", index), ua.QualifiedName(name, index)
            await guard.server.nodes.objects.add_variable(node_id, browse_name, name)
        await guard.start()
        found = await looked_at(guard.url)
    values = {one.value for one in found.signals}
    assert {name for name in NASTY if name} <= values | {""}
    assert all(one.address["node"].startswith("nsu=urn:evil%3B50%25;s=") for one in found.signals)
    long = next(one for one in found.signals if len(one.value) == 5000)
    assert long.extra["length"] >= 5000
    assert all(len(one.name) <= 100 and one.name.isascii() for one in found.signals)


@pytest.mark.asyncio(loop_scope="module")
async def test_cycles_and_depths_end() -> None:
    async with hostile() as (guard, index):
        at = guard.server.nodes.objects
        first = None
        for number in range(60):
            at = await at.add_object(ua.NodeId(f"deep{number}", index), ua.QualifiedName("Deep", index))
            first = first or at
        assert first is not None
        refer(guard, at, first)
        refer(guard, first, guard.server.nodes.objects)
        await at.add_variable(ua.NodeId("bottom", index), ua.QualifiedName("Bottom", index), 1.5)
        await guard.start()
        shallow = await looked_at(guard.url)
        deep = await looked_at(guard.url, depth=100)
    assert shallow.signals == []
    assert "1 object deeper than --depth 10" in shallow.notes
    assert [one.name for one in deep.signals] == ["bottom"]


@pytest.mark.asyncio(loop_scope="module")
async def test_more_references_that_never_come() -> None:
    async with hostile() as (guard, index):
        await guard.server.nodes.objects.add_variable(ua.NodeId("x", index), ua.QualifiedName("X", index), 1.0)
        await guard.start()
        view = guard.server.iserver.view_service
        browse_service = view.browse

        def promising(params: Any) -> Any:
            results = browse_service(params)
            for one in results:
                one.ContinuationPoint = b"more"
            return results

        view.browse = promising
        found = await looked_at(guard.url)
    assert [one.name for one in found.signals] == ["x"]
    assert any("does not let us browse" in note for note in found.notes)


@pytest.mark.asyncio(loop_scope="module")
async def test_values_that_cannot_be_had_are_left_out() -> None:
    async with hostile() as (guard, index):
        objects = guard.server.nodes.objects
        for name, value in {"nan": float("nan"), "huge": "y" * 100_000, "empty": [], "good": 1.0}.items():
            kind = ua.VariantType.Double if name == "empty" else None
            await objects.add_variable(ua.NodeId(name, index), ua.QualifiedName(name, index), value, varianttype=kind)
        await guard.start()
        found = await looked_at(guard.url)
    assert [one.name for one in found.signals] == ["good"]
    why = {one.place[0]: one.why for one in found.left_out}
    assert why["huge"] == "a text of 100,000 bytes"
    assert why["empty"].startswith("an array of 0 Double")
    assert "nan" in why


@pytest.mark.asyncio(loop_scope="module")
async def test_ten_thousand_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hostile() as (guard, index):
        for number in range(100):
            folder = await guard.server.nodes.objects.add_folder(
                ua.NodeId(f"f{number}", index), ua.QualifiedName(f"Folder{number}", index)
            )
            for place in range(100):
                node_id = ua.NodeId(f"{number}.{place}", index)
                await folder.add_variable(node_id, ua.QualifiedName("Speed", index), place)
        await guard.start()
        before = guard.requests
        found = await looked_at(guard.url)
        assert len(found.signals) == 300
        assert "9,700 more variables beyond --limit 300" in found.notes[0]
        assert guard.requests - before < 250, "what is not proposed is not read"
        monkeypatch.setattr(browse, "MOST_NODES", 500)
        cut = await looked_at(guard.url)
        assert any("the server has more than" in note for note in cut.notes)


def test_node_ids_are_written_so_that_they_lead_back() -> None:
    namespaces = ["http://opcfoundation.org/UA/", "urn:a;b%c", "twice", "twice", "", "7"]
    assert node_text(ua.NodeId(85), namespaces) == "i=85"
    assert node_text(ua.NodeId("a;b", 1), namespaces) == "nsu=urn:a%3Bb%25c;s=a;b"
    assert [node_text(ua.NodeId("x", n), namespaces) for n in (2, 3, 4, 5)] == [f"ns={n};s=x" for n in (2, 3, 4, 5)]
    assert node_text(ua.NodeId("", 1), namespaces) is None
    assert node_text(ua.NodeId("x" * 5000, 1), namespaces) is None
    assert node_text(ua.NodeId(b"\x00\xff", 1), namespaces) == "nsu=urn:a%3Bb%25c;b=AP8="
