"""The named moments at which the campaign kills the daemon, in the words of the layer (layer.c)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Step:
    """A moment between two system calls, or in the middle of one. `{n}` in `moment` is a number from 1 to `most`."""

    name: str
    moment: str
    most: int = 1
    is_rare: bool = False
    """Whether it comes every few seconds only, or less often."""

    def at(self, chance: Random) -> str:
        """The moment, its number chosen."""
        return self.moment.format(n=chance.randint(1, self.most))


STEPS = (
    Step("commit: before it writes", "wal.write before {n}", 60),
    Step("commit: half a page written", "wal.write half {n}", 60),
    Step("commit: between two pages", "wal.write after {n}", 60),
    Step("commit: written, not synced", "wal.sync before {n}", 15),
    Step("commit: on the disk, and nobody knows", "wal.sync after {n}", 15),
    Step("checkpoint: before a page goes into the database", "db.write before {n}", 30, is_rare=True),
    Step("checkpoint: half a page in the database", "db.write half {n}", 30, is_rare=True),
    Step("checkpoint: between two pages", "db.write after {n}", 30, is_rare=True),
    Step("checkpoint: written, not synced", "db.sync before {n}", is_rare=True),
    Step("checkpoint: synced, the log not begun again", "db.sync after {n}", is_rare=True),
    Step("file: before it writes", "journal.write before {n}", 15),
    Step("file: half a batch written", "journal.write half {n}", 15),
    Step("file: written, not synced", "journal.sync before {n}", 15),
    Step("acknowledgement: the file has it, the outbox does not know", "journal.sync after {n}", 15),
    Step("cursor: before the commit that moves it", "journal.sync after {n} wal.write before 1", 10),
    Step("cursor: within the commit that moves it", "journal.sync after {n} wal.write half 2", 10),
    Step("cursor: moved", "journal.sync after {n} wal.sync after 1", 10),
    Step("rotation: before the full file is renamed", "journal.rename before {n}", 2),
    Step("rotation: renamed, the directory not synced", "journal.rename after {n}", 2),
    Step("rotation: renamed for good, no new file", "journal.rename after {n} directory.sync after 1", 2),
    Step("rotation: the new file is there", "journal.rename after {n} journal.create after 1", 2),
    Step("rotation: before the oldest goes", "journal.unlink before {n}", 2),
    Step("rotation: the oldest has gone", "journal.unlink after {n}", 2),
    Step("MQTT: before a message", "mqtt.send before {n}", 60),
    Step("MQTT: half a message", "mqtt.send half {n}", 60),
    Step("MQTT: sent, not acknowledged", "mqtt.send after {n}", 60),
    Step("MQTT: acknowledged, the outbox does not know", "mqtt.recv after {n}", 40),
    Step("MQTT: within the commit that moves its cursor", "mqtt.recv after {n} wal.write half 1", 40),
    Step("MQTT: its cursor is moved", "mqtt.recv after {n} wal.sync after 1", 40),
    Step("start: before the buffer is marked as in use", "wal.write before {n}"),
    Step("start: within that commit", "wal.write half {n}", 2),
    Step("start: the log recovered, nothing written", "wal.sync before {n}"),
    Step("vacuum: before the database is cut", "db.truncate before {n}", is_rare=True),
    Step("vacuum: the database is cut", "db.truncate after {n}", is_rare=True),
)
RANDOM = "at any moment"
BIRTH = (
    Step("birth: before the buffer has a name", "db.create before {n}"),
    Step("birth: an empty file", "db.create after {n}"),
    Step("birth: half the first page", "db.write half {n}"),
    Step("birth: the first page", "db.write after {n}"),
    Step("birth: before the write-ahead log", "wal.create before {n}"),
    Step("birth: within the schema", "wal.write half {n}", 8),
    Step("birth: the schema is there, no cursor", "wal.sync after {n}", 2),
)
"""Moments of the first start alone."""


def plan(kills: int, chance: Random) -> list[Step]:
    """The kills of a campaign, in an order of chance: each step equally often, and three in ten at any moment.

    A short campaign takes some of the steps, none of those that seldom come.
    """
    steps = STEPS if kills >= len(STEPS) else [step for step in STEPS if not step.is_rare]
    planned = [Step(RANDOM, "")] * (kills * 3 // 10)
    while len(planned) < kills:
        planned += chance.sample(steps, min(len(steps), kills - len(planned)))
    chance.shuffle(planned)
    return planned
