"""Commands to a running simulation: one JSON object a line in, one answer a line out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from protocols.simulated.clock import SimulatedClock
from protocols.simulated.machine import ACTIONS, Filler, Truth
from protocols.simulated.truth import as_json

COMMANDS = (*ACTIONS, "mute", "unmute", "drop", "refuse", "accept", "freeze", "thaw", "truth", "quit")


class Plc(Protocol):
    """What every simulated PLC can be told, whatever its protocol."""

    muted: bool

    def drop(self) -> None:
        """Closes all connections."""

    def refuse(self) -> None:
        """Refuses new connections."""

    async def accept(self) -> None:
        """Takes connections again."""


class Simulation:
    """The machine, its time and its PLC, and what can be done to them."""

    commands: Sequence[str] = COMMANDS

    def __init__(self, filler: Filler, clock: SimulatedClock) -> None:
        self.filler, self.clock = filler, clock
        self.plc: Plc | None = None
        self.ended = False

    def now(self) -> int:
        """Simulated time, with the machine brought up to it."""
        now_ms = self.clock.now_ms()
        self.filler.advance(now_ms)
        return now_ms

    async def obey(self, line: str | bytes) -> dict[str, Any]:
        """Does what `{"action": ...}` says and answers `{"done": action, "truth": {...}}` when it is done.

        What cannot be done is answered with `{"error": ...}` and changes nothing.
        """
        self.now()
        try:
            command = json.loads(line)
            action = command["action"]
            await self._act(action, command)
        except (ValueError, KeyError, TypeError, OSError) as error:
            return {"error": f"{error or type(error).__name__}; one of {', '.join(self.commands)}"}
        return {"done": action, "truth": as_json(self.filler.truth())}

    async def _act(self, action: str, command: dict[str, Any]) -> None:
        if action in ACTIONS:
            self.filler.apply(action, **({"code": command["code"]} if "code" in command else {}))
            return
        plc = self.plc
        assert plc is not None, "a simulation is controlled once it is served"
        match action:
            case "mute" | "unmute":
                plc.muted = action == "mute"
            case "drop":
                plc.drop()
            case "refuse":
                plc.refuse()
            case "accept":
                await plc.accept()
            case "freeze" | "quit":
                self.clock.freeze()
                self.now()
                self.ended = action == "quit"
            case "thaw":
                self.clock.thaw()
            case "truth":
                pass
            case _:
                raise ValueError(f"unknown action {action!r}")


class Line:
    """Several machines with their PLCs, under one clock: `"machine"` in a command says which is meant.

    Without it the first one is. Time is the same for all: `freeze`, `thaw` and `quit` are of the line.
    """

    def __init__(self, simulations: Mapping[str, Simulation]) -> None:
        self._simulations = dict(simulations)
        self._first = next(iter(simulations))

    @property
    def ended(self) -> bool:
        """Whether one of them was told to quit."""
        return any(simulation.ended for simulation in self._simulations.values())

    def now(self) -> int:
        """Simulated time, with all machines brought up to it."""
        return max(simulation.now() for simulation in self._simulations.values())

    def truths(self) -> dict[str, Truth]:
        """What each machine really did."""
        return {name: simulation.filler.truth() for name, simulation in self._simulations.items()}

    async def obey(self, line: str | bytes) -> dict[str, Any]:
        """See `Simulation.obey`; the answer has the truth of the machine that was meant, and of all by name."""
        self.now()
        try:
            name = json.loads(line).get("machine", self._first)
            simulation = self._simulations[name]
        except (ValueError, AttributeError, KeyError, TypeError):
            return {"error": f"a command is a JSON object; its machine is one of {', '.join(self._simulations)}"}
        answer = await simulation.obey(line)
        self.now()
        return {**answer, "machines": {name: as_json(truth) for name, truth in self.truths().items()}}
