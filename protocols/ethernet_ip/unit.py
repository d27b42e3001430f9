"""One device: what its scans ask, what becomes of what is refused, and what is reported.

A signal that the controller does not have as configured, or refuses, is quarantined alone and tried again on a timer;
what is refused together is asked apart first. After a change of the project everything is resolved anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import Enum, auto

from ext.cip import PACKET
from ext.table import SignalTable
from protocols.driver import LinkStats
from protocols.ethernet_ip.address import TagAddress, parse_tag
from protocols.ethernet_ip.config import EthernetIpDevice
from protocols.ethernet_ip.frames import Framed
from protocols.ethernet_ip.places import AttributePlace, Place
from protocols.ethernet_ip.plan import Limits, Planner
from protocols.ethernet_ip.project import Project
from protocols.ethernet_ip.scan import Asking, Proof
from protocols.ethernet_ip.status import (
    FOR_GOOD,
    PARTIAL_TRANSFER,
    PATH_ERRORS,
    REPLY_TOO_LARGE,
    SERVICE_NOT_SUPPORTED,
    words,
)
from protocols.model import Learned, Notice

QUARANTINE_RETRY_S = 60.0
"""How long a refused signal is left alone."""
LEAST_SIZE = 200
"""Bytes to which replies are made smaller, where they turn out to be too large for the controller."""
UNLOADED = "the controller's project is being changed"
LISTING = "the controller's tags are being listed"
UNPROVEN = "the controller did not say whether its project is the same"


class Verdict(Enum):
    """What a scan leads to."""

    DONE = auto()
    AGAIN = auto()
    """The packets are other ones now: ask them all."""
    CHANGED = auto()
    """The project may be another one: upload it, then ask all."""


class Unit:
    """The signals of one device."""

    def __init__(self, name: str, device: EthernetIpDevice, table: SignalTable, stats: LinkStats) -> None:
        self.name, self.device, self.table = name, device, table
        self._stats = stats
        self._signals = list(device.signals.values())
        self.wanted: list[TagAddress] = [
            parse_tag(signal.tag) for signal in self._signals if signal.tag is not None and signal.status_piece is None
        ]
        self.limits = Limits()
        self._framed: Callable[[bytes], Framed] = lambda _: Framed(bytearray(), connected=False)
        self._project: Project | None = None
        self._planner = Planner(device, table, ())
        self._askings: list[Asking] = []
        self._apart: set[int] = set()
        self._aside: dict[int, tuple[Place, float]] = {}
        self._doubted: set[int] = set()
        """Signals whose path was refused, for which the project was uploaded once more."""
        self._blamed: dict[int, str] = {}
        """Why signals are of another type than the upload says, in the project `_blamed_in`."""
        self._blamed_in: Project | None = None
        self.all_scans = tuple(range(len(device.scan_classes)))
        self._learned: dict[int, Learned] | None = None
        self._notices: list[Notice] = []
        self._retry_at = float("inf")

    def plan(
        self, project: Project | None, limits: Limits, framed: Callable[[bytes], Framed], why: str = UNLOADED
    ) -> None:
        """Resolve all signals against an upload; without one those that are no tags are asked, and `why` is told."""
        self._forget(project)
        self._project, self.limits, self._framed = project, limits, framed
        self._apart.clear()
        self._aside.clear()
        symbols, edition = ((), None) if project is None else (project.symbols, project.edition)
        self._planner = Planner(self.device, self.table, symbols, edition)
        self._learned = self._planner.learned()
        self._replan()
        for number, unresolved in self._planner.unresolved.items():
            if project is None:
                self.table.fail(number, why)
            else:
                self._quarantine(number, unresolved)
        for number, blame in self._blamed.items() if project is not None else ():
            if number in self._planner.places:
                self._set_aside(number, blame)
        if self._aside:
            self._replan()
        self._set_retry()

    def _forget(self, project: Project | None) -> None:
        """What was found out about signals holds as long as the project is the same one."""
        if project is None or not project.is_same(self._project):
            self._doubted.clear()
        if project is not None and not project.is_same(self._blamed_in):
            self._blamed.clear()

    def _blame(self, askings: Iterable[Asking]) -> None:
        """Note who is of another type than the upload says: should the project prove the same, they are set aside."""
        self._blamed_in = self._project
        for asking in askings:
            if (error := asking.changed) is not None:
                self._blamed |= dict.fromkeys(asking.packet.services[error.service].signals, str(error))

    def _replan(self) -> None:
        has_edition = self._project is not None and self._project.edition is not None
        packets = self._planner.packets(self.limits, self._apart)
        askings = [Asking(packet, self._planner, self._framed, has_edition=has_edition) for packet in packets]
        self._askings = sorted(askings, key=lambda asking: (asking.is_proof, not asking.is_kept))

    def begin(self, scans: Iterable[int]) -> list[Asking | Proof]:
        """What scans ask now. Packets that ask for the edition come last: they vouch for those before."""
        askings = [one for one in self._askings if one.packet.scan in scans]
        for one in askings:
            one.begin()
        if askings and askings[0].is_kept and not askings[-1].is_proof:
            assert self._project is not None
            assert self._project.edition is not None
            return [*askings, Proof(self._project.edition, self._framed)]
        return [*askings]

    def settle(self, asked: Sequence[Asking | Proof]) -> Verdict:
        """Judge what came. Raises DecodeError."""
        if not self._stats.quarantined and all(one.is_settled for one in asked):
            return Verdict.DONE
        askings = [one for one in asked if isinstance(one, Asking)]
        proofs = [one for one in asked if isinstance(one, Proof)]
        self._blame(askings)
        if any(not one.holds for one in proofs) or any(one.changed is not None for one in askings):
            return Verdict.CHANGED
        is_proven = bool(proofs) or any(one.proves for one in askings)
        for one in askings:
            if is_proven:
                one.believe()
            elif one.is_kept:
                one.packet.decode.fail(UNPROVEN)
        self._blame(askings)
        if any(one.changed is not None for one in askings):
            return Verdict.CHANGED
        verdict = Verdict.DONE
        for one in askings:
            if one.refused:
                verdict = max(verdict, self._refused(one), key=lambda verdict: verdict.value)
        if verdict is Verdict.AGAIN:
            self._replan()
            self._set_retry()
        elif verdict is Verdict.DONE and self._stats.quarantined:
            self._restore(one for one in askings if is_proven or not one.is_kept)
        return verdict

    def _refused(self, asking: Asking) -> Verdict:
        verdict = Verdict.DONE
        for service, status, extended in asking.refused:
            self._stats.request_errors += 1
            why = words(status, extended)
            asking.packet.decode.fail(why, service)
            if service == PACKET and status == SERVICE_NOT_SUPPORTED and self.limits.multiple:
                self.limits = replace(self.limits, multiple=False)
                return Verdict.AGAIN
            if status in (PARTIAL_TRANSFER, REPLY_TOO_LARGE) and self.limits.size > LEAST_SIZE:
                self.limits = replace(self.limits, size=max(self.limits.size // 2, LEAST_SIZE))
                return Verdict.AGAIN
            if service == PACKET:  # or its service that tells the edition
                if status in PATH_ERRORS and self._project is not None and self._project.edition is not None:
                    return Verdict.CHANGED
                continue
            signals = asking.packet.services[service].signals
            if status in PATH_ERRORS and self._is_new_doubt(signals):
                return Verdict.CHANGED
            if status in FOR_GOOD:
                self._put_apart(signals, why)
                verdict = Verdict.AGAIN
        return verdict

    def _is_new_doubt(self, signals: Sequence[int]) -> bool:
        """Without an edition a refused path may mean another project, which a fresh look tells, once."""
        if self._project is None or self._project.edition is not None or self._doubted.issuperset(signals):
            return False
        self._doubted.update(signals)
        return any(not isinstance(self._planner.places[number], AttributePlace) for number in signals)

    def _put_apart(self, signals: Sequence[int], why: str) -> None:
        """Each asked on its own, or, where it was, left alone."""
        for number in signals:
            if number in self._apart or len(signals) == 1 or isinstance(self._planner.places[number], AttributePlace):
                self._set_aside(number, why)
            else:
                self._apart.add(number)

    def _set_aside(self, number: int, why: str) -> None:
        self._aside[number] = self._planner.places.pop(number), time.monotonic() + QUARANTINE_RETRY_S
        self._apart.discard(number)
        self._quarantine(number, why)

    def _quarantine(self, number: int, why: str) -> None:
        self.table.fail(number, why)
        if (self.name, number) not in self._stats.quarantined:
            self._stats.quarantined.add((self.name, number))
            self._notices.append(Notice(number, True, self._signals[number].place, why, QUARANTINE_RETRY_S))

    def _restore(self, askings: Iterable[Asking]) -> None:
        """Report what was quarantined and has been read."""
        places = self._planner.places
        back = {number for device, number in self._stats.quarantined if device == self.name and number in places}
        for one in askings if back else ():
            refused = {service for service, _, _ in one.refused}
            for place, service in enumerate(one.packet.services):
                if place in refused or PACKET in refused:
                    continue
                for number in back.intersection(service.signals):
                    self._stats.quarantined.discard((self.name, number))
                    address = self._signals[number].place
                    self._notices.append(Notice(number, False, address, "it can be read again", 0.0))

    def _set_retry(self) -> None:
        until = [when for _, when in self._aside.values()]
        if self._planner.unresolved and self._project is not None:
            until.append(time.monotonic() + QUARANTINE_RETRY_S)
        self._retry_at = min(until, default=float("inf"))

    @property
    def retry_at(self) -> float:
        """When something that could not be read is due again, by the monotonic clock."""
        return self._retry_at

    def retry(self) -> Verdict:
        """Take up what is due. CHANGED where only a fresh upload can tell."""
        now = time.monotonic()
        due = [number for number, (_, when) in self._aside.items() if when <= now]
        for number in due:
            self._planner.places[number] = self._aside.pop(number)[0]
            self._apart.add(number)
        if due:
            self._replan()
            self._set_retry()
            return Verdict.AGAIN
        self._set_retry()
        return Verdict.CHANGED

    def take_notices(self) -> list[Notice]:
        """What is to be reported since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def take_learned(self) -> dict[int, Learned] | None:
        """What the controller says of its types, once after each upload."""
        learned, self._learned = self._learned, None
        return learned
