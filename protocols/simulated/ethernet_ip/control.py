"""Commands to a running labeler: the machine's, and what can go wrong with a controller on EtherNet/IP."""

from __future__ import annotations

from typing import Any

from protocols.simulated import control
from protocols.simulated.clock import SimulatedClock
from protocols.simulated.ethernet_ip.cip import Service
from protocols.simulated.ethernet_ip.faults import Field
from protocols.simulated.ethernet_ip.labeler import Edits, LabelerPlc
from protocols.simulated.ethernet_ip.objects import Fault, Mode
from protocols.simulated.machine import Filler

REJECTABLE = (Service.FORWARD_OPEN, Service.LARGE_FORWARD_OPEN, Service.MULTIPLE_SERVICE_PACKET)
COMMANDS = (
    *control.COMMANDS, "delay", "garble", "drop_after", "drop_sessions", "drop_connections", "reject", "limit",
    "unload", "download", "state", "fail", "reset_counts",
)  # fmt: skip


class LabelerSimulation(control.Simulation):
    """The labeler, its time and its controller.

    Beside the line's commands:

    - `delay`: `ms`, `replies` that are late by them; `garble`: `field` (`faults.Field`), `replies` in which it is wrong
    - `drop_after`: `frames` that are still answered; `drop_sessions`, `drop_connections`: forgets them, sockets stay
    - `reject`: `services`, those of `REJECTABLE` that are refused from now on; `forward_open` is the large one too
    - `limit`: `size` of a connection, `connections` at once
    - `unload`: a download has begun; `download`: it is done, with `edition`, `keep_connections`, `without` tags,
      `retyped` tags
    - `state`: `mode` and `faults` of the status word; `fail`: `tag`, general `status`, of which 0 heals
    - `reset_counts`

    Each answer has the `counts` of frames and services, and the `edition` that is loaded.
    """

    commands = COMMANDS

    def __init__(self, filler: Filler, clock: SimulatedClock) -> None:
        super().__init__(filler, clock)
        self.labeler: LabelerPlc | None = None

    async def obey(self, line: str | bytes) -> dict[str, Any]:
        """See `control.Simulation.obey`."""
        answer = await super().obey(line)
        if "done" in answer and self.labeler is not None:
            answer |= {"counts": self.labeler.counts, "edition": self.labeler.edition}
        return answer

    async def _act(self, action: str, command: dict[str, Any]) -> None:
        plc = self.labeler
        assert plc is not None, "a simulation is controlled once it is served"
        match action:
            case "delay":
                plc.faults.delay_ms, plc.faults.delayed = int(command["ms"]), int(command["replies"])
            case "garble":
                plc.faults.field, plc.faults.garbled = Field(command["field"]), int(command["replies"])
            case "drop_after":
                plc.faults.drops_after = int(command["frames"])
            case "drop_sessions":
                plc.drop_sessions()
            case "drop_connections":
                plc.drop_connections()
            case "reject":
                _reject(plc, {Service[name.upper()] for name in command["services"]})
            case "limit":
                plc.manager.largest = int(command.get("size", plc.manager.largest))
                plc.manager.most = int(command.get("connections", plc.manager.most))
            case "unload":
                plc.unload()
            case "download":
                plc.edits = Edits(set(command.get("without", ())), dict(command.get("retyped", {})))
                plc.download(command.get("edition"), bool(command.get("keep_connections", False)))
            case "state":
                mode = Mode[command["mode"].upper()]
                faults = tuple(Fault[name.upper()] for name in command.get("faults", ()))
                plc.identity.mode, plc.identity.faults = mode, faults
            case "fail":
                _fail(plc, command["tag"].lower(), int(command["status"]))
            case "reset_counts":
                plc.reset_counts()
            case _:
                await super()._act(action, command)


def _reject(plc: LabelerPlc, services: set[Service]) -> None:
    if not services <= set(REJECTABLE):
        raise ValueError(f"what can be rejected is {', '.join(service.name.lower() for service in REJECTABLE)}")
    plc.manager.refuses_all = Service.FORWARD_OPEN in services
    plc.manager.refuses_large = Service.LARGE_FORWARD_OPEN in services
    plc.router.refuses_multiple = Service.MULTIPLE_SERVICE_PACKET in services


def _fail(plc: LabelerPlc, tag: str, status: int) -> None:
    if status:
        plc.router.failing[tag] = status
    else:
        plc.router.failing.pop(tag, None)
