"""What there is to tell of one machine, now that something may have changed: intervals, stops, and KPI windows."""

from __future__ import annotations

from gateway.entries.book import Book
from gateway.events import Event
from gateway.kpi.parts import Parts
from gateway.kpi.task import Task
from gateway.kpi.window import Open
from gateway.kpi.windows import Windows
from gateway.states.interval import MOST_CLOSED, Interval, Timeline
from gateway.states.stops import Stops, ToldStop
from gateway.states.told import state_data, stop_data
from gateway.tell import Teller


class Publisher:
    """Times are engine milliseconds; the horizon is the earliest moment that can still turn out otherwise."""

    def __init__(
        self,
        machine: str,
        timeline: Timeline,
        stops: Stops,
        windows: Windows,
        parts: Parts | None,
        book: Book,
        teller: Teller,
    ) -> None:
        self._machine, self._timeline, self._stops, self._windows = machine, timeline, stops, windows
        self._parts, self._book, self._teller = parts, book, teller

    @property
    def unsettled(self) -> Open:
        """What is not final."""
        return Open(self._timeline.unsettled, self._stops.open)

    def publish(self, horizon: int | None, now: int, task: Task) -> list[Event]:
        """All that is new, or is final now."""
        timeline, current = self._timeline, self._timeline.current
        if current is None:
            return []
        if not self._windows.are_placed:
            self._windows.place(current.began, task)
        if horizon is None:
            timeline.forget_marks()
        if len(timeline.closed) > MOST_CLOSED:
            horizon = None
        final, stops = self._stops.follow(timeline.closed, current, horizon, now)
        self._windows.classify(_sure(horizon, now), timeline.unsettled)
        self._windows.settle(timeline.closed[:final], stops)
        events = [self._state(interval) for interval in timeline.publish(final)]
        events += [self._stop(told, task) for told in stops]
        return events + self._windows.retell(self.unsettled, now)

    def retell(self, horizon: int | None, now: int, task: Task) -> list[Event]:
        """The same where no interval has changed."""
        if self._windows.is_touched:
            return self.publish(horizon, now, task)
        self._windows.classify(_sure(horizon, now), self._timeline.unsettled)
        return []

    def _stop(self, told: ToldStop, task: Task) -> Event:
        stop = told.stop
        total = None if self._parts is None else self._parts.figures(stop.parts)["total"]
        ideal = task.ideal_ms if stop.product == task.product else None  # of another product nothing says it now
        data = stop_data(self._machine, told, total, ideal)
        return self._teller.event("machine.stop", self._machine, stop.ended or stop.began, data, stop.began)

    def _state(self, interval: Interval) -> Event:
        parts = None if self._parts is None else self._parts.figures(interval.parts)
        at = interval.ended or interval.began
        data = state_data(interval, parts, self._book.given_interval(interval.id))
        return self._teller.event("machine.state", self._machine, at, data, interval.began)


def _sure(horizon: int | None, now: int) -> int:
    return now if horizon is None else min(horizon, now)
