"""One device (unit id) behind an endpoint: which requests are asked now, and what its failures lead to.

A refused address is found by halving the request until it stands alone; it is then quarantined by its
signal's name and tried again on a timer. A unit that answers nothing is demoted: skipped, and tried on
a timer, so that it never takes its neighbours' time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ext.table import SignalTable
from protocols.driver import LinkStats
from protocols.modbus.config import ModbusDevice
from protocols.modbus.plan import Planner
from protocols.modbus.request import Failure, Outcome, Request
from protocols.model import Notice

QUARANTINE_RETRY_S = 60.0
"""How long a refused signal is left alone."""
ACKNOWLEDGE_RETRY_S = 5.0
"""Exception 5: the device is at work on it and must not be asked meanwhile."""
DEMOTED_RETRY_S = 10.0
DEMOTED_TIMEOUTS = 30
"""A silent unit is tried at most once in so many timeouts, so that trying it takes little of the others' time."""
MOST_SILENCES = 3
"""Scans in a row without an answer after which one request is left alone, while others of its unit are answered."""
MOST_EXTRA = 32
"""Requests that halving may add to one scan."""

_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE, _ACKNOWLEDGE, _BUSY = 1, 2, 3, 5, 6


@dataclass(slots=True)
class _Put:
    """A request that is left alone until a time."""

    request: Request
    until: float


class Unit:
    """The requests of one device, by scan class."""

    def __init__(self, name: str, device: ModbusDevice, table: SignalTable, stats: LinkStats) -> None:
        self.name = name
        self.device = device
        self.table = table
        self._stats = stats
        self._planner = Planner(device, table)
        self._requests = self._planner.requests()
        self._aside: list[_Put] = []
        self._rests_until = 0.0
        self.silent_scans = 0
        """Scans in a row in which nothing was answered."""
        self.notices: list[Notice] = []

    def begin(self, scan: int) -> list[Request]:
        """What a scan asks now; nothing while the unit rests."""
        now = time.monotonic()
        if now < self._rests_until:
            return []
        back = [put.request for put in self._aside if put.until <= now and put.request.scan == scan]
        if back:
            self._aside = [put for put in self._aside if put.request not in back]
            self._requests += back
        asked = [request for request in self._requests if request.scan == scan]
        asked.sort(key=lambda request: request.silences)  # who was silent must not keep the others from being asked
        return asked[:1] if self.silent_scans else asked  # one is enough to see whether it is back

    def settle(self, asked: Sequence[Request], extra: int) -> list[Request]:
        """Judge what came back; what to ask at once in place of refused requests, at most `MOST_EXTRA` in a scan."""
        again: list[Request] = []
        heard = [r for r in asked if r.failure is None or r.failure.outcome not in (Outcome.SILENT, Outcome.UNASKED)]
        answered = [request for request in heard if request.failure is None or not request.failure.is_silence]
        self.silent_scans = 0 if answered else self.silent_scans + 1
        for request in asked:
            failure = request.failure
            if failure is None:
                request.silences = 0
                if self._stats.quarantined:
                    self._restored(request)
                continue
            request.decode.fail(failure.why)
            if failure.is_silence:
                self._silent(request, alone=bool(answered))
            elif failure.outcome is not Outcome.UNASKED:
                self._stats.request_errors += 1
                again += self._refused(request, failure, extra + len(again))
        return again

    @property
    def is_resting(self) -> bool:
        """Whether the unit is not asked for a while."""
        return time.monotonic() < self._rests_until

    def demote(self) -> None:
        """Leave the unit alone for a while, since its silence takes its neighbours' time."""
        self._rests_until = time.monotonic() + max(DEMOTED_RETRY_S, DEMOTED_TIMEOUTS * self.device.timeout / 1000)

    def _silent(self, request: Request, *, alone: bool) -> None:
        """No answer; a request that alone is silent is soon left alone for a while."""
        request.silences += 1
        if alone and request.silences >= MOST_SILENCES:
            request.silences = 0
            self._put_aside(request, DEMOTED_RETRY_S)

    def _refused(self, request: Request, failure: Failure, extra: int) -> list[Request]:
        """What to ask in place of a request that was answered, but not with values."""
        if failure.outcome is Outcome.GARBLED:
            self._stats.garbled += 1
            return []
        if failure.code in (_ILLEGAL_ADDRESS, _ILLEGAL_VALUE) and len(request.signals) > 1:
            halves = self._planner.halves(request)
            self._requests.remove(request)
            self._requests += halves
            for half in halves:
                half.decode.fail(failure.why)
            return halves if extra < MOST_EXTRA else []
        if failure.code in (_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE):
            self._quarantine(request, failure.why)
        elif failure.code == _ACKNOWLEDGE:
            self._put_aside(request, ACKNOWLEDGE_RETRY_S)
        elif failure.code == _BUSY and extra == 0:
            return [request]
        return []

    def _put_aside(self, request: Request, seconds: float) -> None:
        self._requests.remove(request)
        self._aside.append(_Put(request, time.monotonic() + seconds))

    def _quarantine(self, request: Request, why: str) -> None:
        self._put_aside(request, QUARANTINE_RETRY_S)
        for signal in request.signals:
            if (self.name, signal) not in self._stats.quarantined:
                self._stats.quarantined.add((self.name, signal))
                address = self._planner.address(signal)
                self.notices.append(Notice(signal, True, address, why, QUARANTINE_RETRY_S))

    def _restored(self, request: Request) -> None:
        for signal in request.signals:
            if (self.name, signal) in self._stats.quarantined:
                self._stats.quarantined.discard((self.name, signal))
                self.notices.append(Notice(signal, False, self._planner.address(signal), "it can be read again", 0.0))

    def take_notices(self) -> list[Notice]:
        """What is to be reported since the last call."""
        notices, self.notices = self.notices, []
        return notices
