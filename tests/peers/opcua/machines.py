"""Machines of three companion specifications on asyncua: the part of the published types that a reader meets.

NodeIds of types and states, browse names and state numbers are those of the OPC Foundation's nodesets, and the
instances' NodeIds those of `node/machines.js`, which makes the same machines of the whole nodesets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asyncua import Server, ua
from asyncua.common.structures104 import new_struct, new_struct_field

_UA = "http://opcfoundation.org/UA/"
DI, MACHINERY, PACKML = f"{_UA}DI/", f"{_UA}Machinery/", f"{_UA}PackML/"
WEIHENSTEPHAN, WS = f"{_UA}Weihenstephan/", "http://weihenstephan-standards.com/WS/"
_TYPES = {
    PACKML: {
        "PackMLBaseObjectType": 6, "PackMLStatusObjectType": 4, "PackMLAdminObjectType": 5,
        "PackMLBaseStateMachineType": 3, "PackMLMachineStateMachineType": 2, "PackMLExecuteStateMachineType": 1,
    },
    MACHINERY: {"MachineIdentificationType": 1012, "MachineryItemState_StateMachineType": 1002},
    DI: {"FunctionalGroupType": 1005},
    WEIHENSTEPHAN: {"WSMachineType": 1000},
}  # fmt: skip
_STATES = {
    (PACKML, "PackMLBaseStateMachineType"): {"Aborted": (62, 9), "Cleared": (71, 19)},
    (PACKML, "PackMLMachineStateMachineType"): {"Stopped": (53, 2), "Running": (75, 18)},
    (PACKML, "PackMLExecuteStateMachineType"): {
        "Idle": (28, 4), "Suspended": (31, 5), "Execute": (36, 6), "Held": (34, 11), "Complete": (38, 17),
    },
    (MACHINERY, "MachineryItemState_StateMachineType"): {
        "NotAvailable": (5005, 0), "OutOfService": (5004, 1), "NotExecuting": (5007, 2), "Executing": (5006, 3),
    },
}  # fmt: skip
"""State: its NodeId's number and its StateNumber."""
_WS_VARIABLE = 2001
_PROPERTY = ua.NodeId(ua.ObjectIds.PropertyType)


@dataclass(frozen=True, slots=True)
class Machine:
    """Parts below one machine: path (`-` between parts), namespace of the browse name, and type or value."""

    name: str
    entry: tuple[str, str, int]
    """The object that machines are found under: namespace, name, number."""
    kind: tuple[str, str] | None
    objects: tuple[tuple[str, str, tuple[str, str] | None], ...]
    variables: tuple[tuple[str, str, ua.Variant], ...]
    states: tuple[tuple[str, tuple[str, str], str], ...] = ()
    """Path of a state machine, its type, and the state that it is in."""


def _nameplate(name: str) -> tuple[tuple[str, str, ua.Variant], ...]:
    return (
        ("Identification-Manufacturer", DI, ua.Variant(ua.LocalizedText("ACME"))),
        ("Identification-SerialNumber", DI, ua.Variant(name)),
        ("Identification-ProductInstanceUri", DI, ua.Variant(f"urn:acme:{name}")),
    )


_IDENTIFICATION = ("Identification", DI, (MACHINERY, "MachineIdentificationType"))
_BASE, _MACHINE, _EXECUTE, _ITEM = _STATES
MACHINES = (
    Machine(
        "Capper", (PACKML, "PackMLObjects", 72), (PACKML, "PackMLBaseObjectType"),
        (
            ("Admin", PACKML, (PACKML, "PackMLAdminObjectType")),
            ("Status", PACKML, (PACKML, "PackMLStatusObjectType")),
            ("BaseStateMachine", PACKML, _BASE), ("BaseStateMachine-MachineState", PACKML, _MACHINE),
            ("BaseStateMachine-MachineState-ExecuteState", PACKML, _EXECUTE),
        ),
        (
            ("Status-CurMachSpeed", PACKML, ua.Variant(118.5, ua.VariantType.Float)),
            ("Status-MachSpeed", PACKML, ua.Variant(120.0, ua.VariantType.Float)),
            ("Status-UnitModeCurrent", PACKML, ua.Variant(1, ua.VariantType.Int32)),
            ("Status-EquipmentBlocked", PACKML, ua.Variant(False)),
            ("Status-EquipmentStarved", PACKML, ua.Variant(False)),
        ),
        (
            ("BaseStateMachine", _BASE, "Cleared"), ("BaseStateMachine-MachineState", _MACHINE, "Running"),
            ("BaseStateMachine-MachineState-ExecuteState", _EXECUTE, "Execute"),
        ),
    ),
    Machine(
        "Filler", (MACHINERY, "Machines", 1001), None,
        (
            _IDENTIFICATION, ("MachineryBuildingBlocks", MACHINERY, None),
            ("MachineryBuildingBlocks-MachineryItemState", MACHINERY, _ITEM),
        ),
        _nameplate("Filler"),
        (("MachineryBuildingBlocks-MachineryItemState", _ITEM, "Executing"),),
    ),
    Machine(
        "Labeler", (MACHINERY, "Machines", 1001), (WEIHENSTEPHAN, "WSMachineType"),
        (
            _IDENTIFICATION,
            *(
                (group, WEIHENSTEPHAN, (DI, "FunctionalGroupType"))
                for group in ("OperatingStates", "OperatingModes", "Counters", "MeasuredValues")
            ),
        ),
        (
            *_nameplate("Labeler"),
            ("OperatingStates-WS_Cur_State", WS, ua.Variant(128, ua.VariantType.UInt32)),
            ("OperatingModes-WS_Cur_Mode", WS, ua.Variant(8, ua.VariantType.UInt32)),
            ("Counters-WS_Tot_Packages", WS, ua.Variant(4711, ua.VariantType.UInt32)),
            ("Counters-WS_Bad_Packages", WS, ua.Variant(11, ua.VariantType.UInt32)),
            ("MeasuredValues-WS_Cur_Mach_Spd", WS, ua.Variant(118.5, ua.VariantType.Float)),
        ),
    ),
)  # fmt: skip


async def add(server: Server, index: int) -> None:
    """Adds the types and the machines; the machines' NodeIds are in the namespace `index`."""
    indexes = {uri: await server.register_namespace(uri) for uri in (DI, MACHINERY, PACKML, WEIHENSTEPHAN, WS)}
    builder = _Builder(server, index, indexes)
    await builder.types()
    for machine in MACHINES:
        await builder.machine(machine)
    await builder.counts()


class _Builder:
    def __init__(self, server: Server, index: int, indexes: dict[str, int]) -> None:
        self._server, self._index, self._indexes = server, index, indexes

    async def types(self) -> None:
        base = self._server.nodes.base_object_type
        for uri, kinds in _TYPES.items():
            for name, number in kinds.items():
                kind = await base.add_object_type(self._number(uri, number), self._name(uri, name))
                for state, (place, value) in _STATES.get((uri, name), {}).items():
                    made = await kind.add_object(self._number(uri, place), self._name(uri, state))
                    number_id = ua.NodeId(f"{name}-{state}-StateNumber", self._index)
                    shown = ua.Variant(value, ua.VariantType.UInt32)
                    await made.add_property(number_id, ua.QualifiedName("StateNumber"), shown)
        variable = self._server.nodes.base_variable_type
        where, name = self._number(WEIHENSTEPHAN, _WS_VARIABLE), self._name(WEIHENSTEPHAN, "WSBaseDataVariableType")
        await variable.add_variable_type(where, name, ua.NodeId(ua.ObjectIds.BaseDataType))
        for uri, entry, number in {machine.entry for machine in MACHINES}:
            await self._server.nodes.objects.add_folder(self._number(uri, number), self._name(uri, entry))

    async def machine(self, machine: Machine) -> None:
        uri, _, number = machine.entry
        entry = self._number(uri, number)
        own = ua.QualifiedName(machine.name, self._index)
        await self._object(machine.name, entry, own, machine.kind, ua.ObjectIds.Organizes)
        for path, space, kind in machine.objects:
            parent, name = self._split(machine, path)
            part = self._name(space, name)
            await self._object(f"{machine.name}-{path}", parent, part, kind, ua.ObjectIds.HasComponent)
        kinds = {WS: self._number(WEIHENSTEPHAN, _WS_VARIABLE), DI: _PROPERTY}
        for path, space, value in machine.variables:
            parent, name = self._split(machine, path)
            kind = kinds.get(space, ua.NodeId(ua.ObjectIds.BaseDataVariableType))
            await self._variable(f"{machine.name}-{path}", parent, self._name(space, name), value, kind)
        for path, kind, state in machine.states:
            await self._state(f"{machine.name}-{path}", kind, state)

    async def counts(self) -> None:
        """PackMLCountDataType arrays (OPC 30050, 6.5.3)."""
        where, name = self._number(PACKML, 14), self._name(PACKML, "PackMLCountDataType")
        whole = ua.VariantType.Int32
        fields = [
            new_struct_field("ID", whole),
            new_struct_field("Name", ua.VariantType.String),
            new_struct_field("Unit", ua.NodeId(ua.ObjectIds.EUInformation)),
            new_struct_field("Count", whole),
            new_struct_field("AccCount", whole),
        ]
        kind, _ = await new_struct(self._server, where, name, fields)
        await self._server.load_data_type_definitions()
        for number, name in enumerate(("ProdProcessedCount", "ProdDefectiveCount")):
            count = ua.PackMLCountDataType(
                ID=1, Name="bottles", Unit=ua.EUInformation(), Count=4711 - number * 4700, AccCount=70_000
            )
            parent = self._server.get_node(ua.NodeId("Capper-Admin", self._index))
            node_id = ua.NodeId(f"Capper-Admin-{name}", self._index)
            await parent.add_variable(node_id, self._name(PACKML, name), [count], datatype=kind.nodeid)

    def _number(self, uri: str, number: int) -> ua.NodeId:
        return ua.NodeId(number, self._indexes[uri])

    def _name(self, uri: str, name: str) -> ua.QualifiedName:
        return ua.QualifiedName(name, self._indexes[uri])

    def _split(self, machine: Machine, path: str) -> tuple[ua.NodeId, str]:
        place, _, name = path.rpartition("-")
        return ua.NodeId(f"{machine.name}-{place}" if place else machine.name, self._index), name

    async def _state(self, path: str, kind: tuple[str, str], state: str) -> None:
        shown, current = ua.Variant(ua.LocalizedText(state)), f"{path}-CurrentState"
        finite = ua.NodeId(ua.ObjectIds.FiniteStateVariableType)
        machine = ua.NodeId(path, self._index)
        await self._variable(current, machine, ua.QualifiedName("CurrentState"), shown, finite)
        place, _ = _STATES[kind][state]
        state_id = ua.Variant(self._number(kind[0], place), ua.VariantType.NodeId)
        holder = ua.NodeId(current, self._index)
        await self._variable(f"{current}-Id", holder, ua.QualifiedName("Id"), state_id, _PROPERTY)

    async def _object(
        self, path: str, parent: ua.NodeId, name: ua.QualifiedName, kind: tuple[str, str] | None, reference: int
    ) -> None:
        attributes = ua.ObjectAttributes(DisplayName=ua.LocalizedText(name.Name))
        type_id = ua.NodeId(ua.ObjectIds.BaseObjectType)
        if kind is not None:
            type_id = self._number(kind[0], _TYPES[kind[0]][kind[1]])
        await self._add(ua.NodeClass.Object, path, parent, name, type_id, reference, attributes)

    async def _variable(
        self, path: str, parent: ua.NodeId, name: ua.QualifiedName, value: ua.Variant, type_id: ua.NodeId
    ) -> None:
        attributes = ua.VariableAttributes(
            DisplayName=ua.LocalizedText(name.Name),
            Value=value,
            DataType=ua.NodeId(value.VariantType.value),
            ValueRank=ua.ValueRank.Scalar,
            AccessLevel=ua.AccessLevel.CurrentRead.mask,
            UserAccessLevel=ua.AccessLevel.CurrentRead.mask,
        )
        reference = ua.ObjectIds.HasProperty if type_id == _PROPERTY else ua.ObjectIds.HasComponent
        await self._add(ua.NodeClass.Variable, path, parent, name, type_id, reference, attributes)

    async def _add(
        self,
        node_class: ua.NodeClass,
        path: str,
        parent: ua.NodeId,
        name: ua.QualifiedName,
        type_id: ua.NodeId,
        reference: int,
        attributes: Any,
    ) -> None:
        item = ua.AddNodesItem()
        item.NodeClass, item.NodeAttributes, item.TypeDefinition = node_class, attributes, type_id
        item.ParentNodeId, item.ReferenceTypeId = parent, ua.NodeId(reference)
        item.RequestedNewNodeId, item.BrowseName = ua.NodeId(path, self._index), name
        (await self._server.iserver.isession.add_nodes([item]))[0].StatusCode.check()
