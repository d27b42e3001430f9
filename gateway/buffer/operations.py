"""The operations on one buffer, by the names under which the control socket has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from functools import partial
from typing import Any

import orjson

from gateway.buffer import snapshot
from gateway.control.wire import Refused
from gateway.events import StoredEvent, rfc3339
from gateway.outbox import census
from gateway.outbox.classes import FIRST
from gateway.outbox.errors import BufferError
from gateway.outbox.filters import Filter
from gateway.outbox.outbox import Outbox
from gateway.outbox.quarantine import Entry

CHUNK = 500
MEASURED = 10_000
"""Events from which the rate is measured, or as many as there are."""

Items = AsyncIterator[dict[str, Any]]


class Operations:
    """Answers requests about `outbox`; each answer is items. Refusals are raised before anything was done."""

    def __init__(self, outbox: Outbox, uplinks: Collection[str], line: str) -> None:
        self._outbox = outbox
        self._uplinks = uplinks
        self._envelope = outbox.envelope(line)
        self.handlers: dict[str, Callable[[Mapping[str, Any]], Items]] = {
            f"buffer.{name}": _refusing(operation)
            for name, operation in {
                "stats": self._stats,
                "classes": self._classes,
                "events": self._events,
                "quarantined": self._quarantined,
                "retry": self._retry,
                "discard": self._discard,
            }.items()
        }
        self.handlers |= {name: _refusing(operation) for name, operation in snapshot.handlers(outbox).items()}

    async def _stats(self, _request: Mapping[str, Any]) -> Items:
        """One item: numbers, sizes in bytes, cursors, and the span in ms of the newest events."""
        outbox, stats = self._outbox, self._outbox.stats
        space = await outbox.inspect(census.space)
        last = outbox.last_seq
        oldest = await outbox.recent(FIRST, 1)
        newest = await outbox.recent(last - 1, 1)
        first = await outbox.recent(last - MEASURED, 1)
        yield {
            "stream": outbox.stream,
            "last_seq": last,
            "oldest": oldest[0].seq if oldest else None,
            "oldest_time": rfc3339(oldest[0].time) if oldest else None,
            "pending": stats.pending,
            "quarantined": stats.quarantined,
            **space,
            "moved_aside": list(stats.aside),
            "cursors": await outbox.inspect(census.cursors),
            "exposed": stats.exposed,
            "degraded": stats.degraded,
            "backlog": {name: outbox.backlog(name) for name in self._uplinks},
            "measured": {
                "events": newest[0].seq - first[0].seq if newest and first else 0,
                "ms": newest[0].time - first[0].time if newest and first else 0,
            },
        }

    async def _classes(self, _request: Mapping[str, Any]) -> Items:
        """Events and bytes of their data by class, stretch by stretch: the store has more to do than to count."""
        end = self._outbox.last_seq
        oldest = await self._outbox.recent(FIRST, 1)
        after = oldest[0].seq - 1 if oldest else end
        while after < end:
            upto = min(after + census.STRETCH, end)
            counts = await self._outbox.inspect(partial(census.classes, after=after, upto=upto))
            after = upto
            yield {"upto": upto, "of": end, "classes": counts}

    async def _events(self, request: Mapping[str, Any]) -> Items:
        """Stored events as CloudEvents, behind `after` or the newest `last`; `types` and `subjects` are globs."""
        end = self._outbox.last_seq
        last = request.get("last")
        after = request.get("after", FIRST) if last is None else end - last
        wants = Filter(request.get("types", ()), request.get("subjects", ()))
        while events := [event for event in await self._outbox.recent(after, CHUNK) if event.seq <= end]:
            after = events[-1].seq
            for event in events:
                if wants.passes(event.type, event.subject):
                    yield self._cloud_event(event)

    async def _quarantined(self, request: Mapping[str, Any]) -> Items:
        """What is set aside, of one `uplink` or all, of one `seq` or all, as CloudEvents with `quarantine` beside."""
        wanted, only = request.get("uplink"), None
        if "seq" in request:
            only = self._stored(request["seq"])
        for uplink in [wanted] if wanted is not None else await self._uplinks_in_quarantine():
            after = FIRST if only is None else only - 1
            while entries := await self._outbox.quarantined(uplink, after, CHUNK):
                after = entries[-1].seq
                for entry in entries:
                    if only is None or entry.seq == only:
                        yield self._set_aside(entry)
                if only is not None:
                    break

    async def _uplinks_in_quarantine(self) -> list[str]:
        """Those of the configuration: what others left is forgotten with them."""
        return [name for name in self._uplinks if await self._outbox.quarantined(name, limit=1)]

    async def _retry(self, request: Mapping[str, Any]) -> Items:
        """Deliver once more the events `seqs` of `uplink`, or all where it is null; how many wait for it."""
        yield {"count": await self._outbox.retry(self._known(request), self._chosen(request))}

    async def _discard(self, request: Mapping[str, Any]) -> Items:
        """Throw away the events `seqs` of `uplink`, or all where it is null; how many there were."""
        yield {"count": await self._outbox.discard(self._known(request), self._chosen(request))}

    def _chosen(self, request: Mapping[str, Any]) -> list[int] | None:
        return None if request["seqs"] is None else [self._stored(one) for one in request["seqs"]]

    def _stored(self, named: str) -> int:
        """The stored number of an event by its seq, or by its id where it is of a stream before this one."""
        stream, _, seq = named.rpartition("-")
        found = self._envelope.stored_seq(stream or self._envelope.stream, int(seq))
        if found is None:
            raise Refused(f"the buffer has no event of the stream {stream}", "see `quarantine FILE list`")
        return found

    def _known(self, request: Mapping[str, Any]) -> str:
        uplink: str = request["uplink"]
        if uplink not in self._uplinks:
            known = ", ".join(self._uplinks) or "none"
            raise Refused(f"{uplink} is no uplink of this line", f"uplinks are: {known}")
        return uplink

    def _cloud_event(self, event: StoredEvent) -> dict[str, Any]:
        made: dict[str, Any] = orjson.loads(self._envelope.json(event))
        return made

    def _set_aside(self, entry: Entry) -> dict[str, Any]:
        event = StoredEvent(entry.seq, entry.seq - 1, entry.type, entry.subject, entry.time, entry.data)
        made = self._cloud_event(event)
        about = {
            "uplink": entry.uplink,
            "event": str(entry.seq) if entry.seq > 0 else made["id"],
            "why": entry.why,
            "since": rfc3339(entry.quarantined_at),
            "retrying": entry.retrying,
        }
        del made["prevseq"]  # it has its place in the chain when it is delivered
        return {**made, "quarantine": about}


def _refusing(operation: Callable[[Mapping[str, Any]], Items]) -> Callable[[Mapping[str, Any]], Items]:
    async def refusing(request: Mapping[str, Any]) -> Items:
        try:
            async for item in operation(request):
                yield item
        except BufferError as error:
            raise Refused(error.why, error.remedy) from None

    return refusing
