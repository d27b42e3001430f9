"""Four machines whose bottles each carry their order, read by a pipeline that only sees counters and the order."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import DeviceState, Input, Reload
from gateway.pipeline import Pipeline
from protocols.model import Batch, Change, Quality
from tests.conftest import line_document
from tests.gateway.stories import MONDAY

MACHINES = ("filler", "left", "right", "packer")
FLOW = [{"from": ["filler"], "to": ["left", "right"]}, {"from": ["left", "right"], "to": ["packer"]}]
SIGNALS = {
    "count": {"address": "holding:0", "type": "uint16"},
    "scrap": {"address": "holding:1", "type": "uint16"},
    "order": {"address": "holding:2", "type": "string", "length": 8},
    "recipe": {"address": "holding:6", "type": "uint16"},
    "target": {"address": "holding:7", "type": "uint16"},
    "speed": {"address": "holding:8", "type": "uint16"},
}
PRODUCTS = {
    "signal": "filler_plc.recipe",
    "list": {1: {}, 2: {}, 3: {"ideal": {"packer": "2s"}}, 4: {"ideal": {"packer": "6s"}}},
}
Order = tuple[str, int]
TARGET = 120


def line(flow: Any = FLOW, uncounted: str = "", *, planned: bool = True, **line_settings: Any) -> Config:
    """The filler rejects some, the packer packs sixes; `planned`: whether signals say what is to be made."""
    counters: dict[str, Any] = {name: {"total": f"{name}_plc.count"} for name in MACHINES}
    counters["filler"]["scrap"] = "filler_plc.scrap"
    counters["packer"] = {"good": {"signal": "packer_plc.count", "each": 6}}
    document = line_document(
        devices={
            f"{name}_plc": {"protocol": "modbus_tcp", "host": f"10.0.0.{n}", "signals": SIGNALS}
            for n, name in enumerate(MACHINES)
        },
        machines={
            name: {"states": [{"state": "execute"}], "ideal": "500ms", "parts": counters[name], "no_output": 0}
            | ({"parts": None} if name == uncounted else {})
            for name in MACHINES
        },
        **(
            {"products": PRODUCTS, "jobs": {"signal": "filler_plc.order", "target": "filler_plc.target"}}
            if planned
            else {}
        ),
    )
    document["line"] |= line_settings
    document["machines"]["filler"]["ideal"] = {"signal": "filler_plc.speed", "unit": "1/min"}
    if flow is not None:
        document["flow"] = flow
    return Config.model_validate(document)


CONFIG = line()


class Bottles:
    """What truly is made of which order, and the events that are told of it."""

    def __init__(self, config: Config = CONFIG, order: Order = ("A", 1), first: int = 30_000) -> None:
        self.config, self.pipeline = config, Pipeline(config)
        self.at, self.events, self.order = MONDAY, list[Event](), order
        self.started, self.speed = MONDAY, 120
        self.orders = [order]
        self.stored: dict[str, bytes] = {}
        """Rows of the checkpoint as they were taken."""
        self.commits = False
        """Whether rows are taken whenever there is something to tell."""
        self.count, self.scrap = dict.fromkeys(MACHINES, first), 1_000
        self.links: tuple[list[int], list[int]] = [], []
        """Bottles between the machines, each as the number of its order."""
        self.made: Counter[tuple[str, int]] = Counter()
        """Bottles, or cases, by machine and number of the order."""
        self.give(Reload(self.at, 0))
        for name in MACHINES:
            self.read(name)

    def fill(self, bottles: int, rejects: int = 0) -> None:
        """Rejects go first."""
        number = len(self.orders) - 1
        self.count["filler"] += bottles
        self.scrap += rejects
        self.made["filler", number] += bottles
        self.links[0].extend([number] * (bottles - rejects))

    def label(self, name: str, bottles: int) -> None:
        """Takes the first ones of the link, as far as there are any."""
        for _ in range(min(bottles, len(self.links[0]))):
            self.count[name] += 1
            self.made[name, self.links[0][0]] += 1
            self.links[1].append(self.links[0].pop(0))

    def pack(self, cases: int) -> None:
        """A case with a bottle of the next order is the next order's."""
        for _ in range(min(cases, len(self.links[1]) // 6)):
            case = [self.links[1].pop(0) for _ in range(6)]
            self.count["packer"] += 1
            self.made["packer", max(case)] += 1

    def begin(self, order: Order) -> None:
        """From the next reading on."""
        if order != self.order:
            self.order = order
            self.orders.append(order)

    def run_out(self) -> None:
        """One more order begins, all bottles of those before leave the line, and some of its own."""
        self.begin(("last", 1))
        self.read_all()
        for _ in range(3):
            self.fill(60)
            self.label("left", 300)
            self.pack(100)
            self.read_all(wait=60_000)

    def give(self, one: Input) -> list[Event]:
        events = self.pipeline.process(one)[0]
        self.events += events
        if events and self.commits:
            self.stored |= self.pipeline.checkpoint({event.subject for event in events})
        return events

    def read(self, name: str, count: int | None = None) -> list[Event]:
        """A PLC is read as it is, or with another count."""
        said: list[Any] = [
            (self.count[name] if count is None else count) % 2**16,
            self.scrap if name == "filler" else 0,
        ]
        said += (*self.order, TARGET, self.speed) if name == "filler" else ("", 0, 0, 0)
        changes: list[Change] = [(number, value, Quality.GOOD, None, None) for number, value in enumerate(said)]
        return self.give(Batch(f"{name}_plc", 0, changes, self.at))

    def read_all(self, wait: int = 1000) -> list[Event]:
        self.at += wait
        return [event for name in MACHINES for event in self.read(name)]

    def lose(self, name: str) -> list[Event]:
        return self.give(DeviceState(f"{name}_plc", False, self.at, why="no answer"))

    def go_on(self) -> None:
        """Another pipeline goes on from what this one stored."""
        self.stored |= self.pipeline.checkpoint()
        self.pipeline = Pipeline(self.config)
        self.pipeline.restore(self.stored)

    def restart(self) -> None:
        """The gateway ends without a word, and is off for a while."""
        self.go_on()
        self.at += 2000
        self.give(Reload(self.at, 0))

    def stop(self) -> None:
        self.give(Reload(self.at, 0, "stop"))

    @property
    def jobs(self) -> dict[str, str | None]:
        """What each machine works on."""
        return {name: one["job"] for name, one in self.pipeline.snapshot().items()}

    def truly(self, machine: str) -> Counter[tuple[str | None, str | None]]:
        """Bottles, or cases, by job and product, as they carry them."""
        made: Counter[tuple[str | None, str | None]] = Counter()
        product = None
        for number, (job, recipe) in enumerate(self.orders):
            product = f"{recipe}" if recipe else product
            made[job or None, product] += self.made[machine, number]
        return made

    def produced(self, machine: str) -> Counter[tuple[str | None, str | None]]:
        """Bottles, or cases, by job and product, as minutes of production say."""
        made: Counter[tuple[str | None, str | None]] = Counter()
        for event in self.events:
            if event.type == "machine.production" and event.subject == machine:
                made[event.data["job"], event.data["product"]] += event.data["total"]
        return made

    @property
    def ended(self) -> Counter[tuple[str | None, str | None]]:
        """What jobs that have ended made, by job and product."""
        made: Counter[tuple[str | None, str | None]] = Counter()
        for job in self.told("job.ended"):
            made[job["job"], job["product"]] += job["total"]
        return made

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.type == kind]
