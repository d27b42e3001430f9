"""`linegate buffer`: asks, and shows the answers in tables, in columns, or as JSON."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from gateway.buffer.asking import answer
from gateway.buffer.estimate import estimate
from gateway.check import load_or_exit
from gateway.control.wire import ControlError
from gateway.outbox.errors import BufferError
from gateway.progress import Progress
from gateway.sheet import Sheet, aligned, drawn

GOOD, TROUBLE, WRONG = 0, 1, 2


class Command:
    """One command for one line's buffer; its operations return the exit code."""

    def __init__(self, file: Path, state_dir: Path, *, as_json: bool) -> None:
        self._config = load_or_exit(file)
        self._state_dir = state_dir
        self._as_json = as_json
        self._out = sys.stdout

    def stats(self) -> int:
        """What is stored, and what waits."""
        return self._run(self._stats)

    def _stats(self) -> int:
        (found,) = self._items("buffer.stats")
        found["classes"] = classes = self._classes()
        if self._as_json:
            return self._json(found)
        rows = [
            ("stream", found["stream"]),
            ("last seq", str(found["last_seq"])),
            ("oldest stored", f"{found['oldest']}, {found['oldest_time']}" if found["oldest"] is not None else "none"),
            ("size", f"{_size(found['size_bytes'])}, of that {_size(found['free_bytes'])} free"),
            ("write-ahead log", _size(found["log_bytes"])),
            ("waiting in memory", str(found["pending"])),
            ("set aside", str(found["quarantined"])),
            ("storing", f"fails: {found['degraded']}" if found["degraded"] else found["exposed"] or "works"),
            *(("moved aside", name) for name in found["moved_aside"]),
        ]
        self._show(Sheet("buffer", ("what", "is"), rows))
        by_class = [(name, f"{of['events']:,}", _size(of["data_bytes"])) for name, of in classes.items()]
        self._show(Sheet("stored", ("class", ">events", ">data"), by_class))
        uplinks = [
            (name, str(found["backlog"].get(name, "")), str(of["position"]), of["detached"] or "")
            for name, of in found["cursors"].items()
        ]
        self._show(Sheet("uplinks", ("uplink", ">backlog", ">settled", "not in the configuration since"), uplinks))
        return TROUBLE if found["degraded"] or found["exposed"] else GOOD

    def _classes(self) -> dict[str, dict[str, int]]:
        """Events and bytes by class, added up as the daemon counts them."""
        progress = Progress(sys.stderr)
        sums: dict[str, dict[str, int]] = {}

        def add(item: dict[str, Any]) -> None:
            for name, counts in item["classes"].items():
                mine = sums.setdefault(name, dict.fromkeys(counts, 0))
                for what, number in counts.items():
                    mine[what] += number
            progress(f"counted up to {item['upto']:,} of {item['of']:,}")

        answer(self._config, self._state_dir, add, "buffer.classes")
        progress.done()
        return sums

    def peek(self, last: int, types: tuple[str, ...], subjects: tuple[str, ...]) -> int:
        """The newest events."""
        return self._run(lambda: self._listed("buffer.events", last=last, types=types, subjects=subjects))

    def export(self, after: int | None, types: tuple[str, ...], subjects: tuple[str, ...]) -> int:
        """Every event, one a line."""
        begin = {} if after is None else {"after": after}
        return self._run(lambda: self._exported("buffer.events", **begin, types=types, subjects=subjects))

    def quarantine(self, what: str, uplink: str | None, seqs: list[str] | None) -> int:
        """What was refused: looked at, let go once more, or thrown away."""
        if what == "list":
            return self._run(lambda: self._listed("buffer.quarantined", uplink=uplink))
        if what == "export":
            return self._run(lambda: self._exported("buffer.quarantined", uplink=uplink))
        if what == "show":
            return self._run(lambda: self._shown(uplink, seqs[0] if seqs else ""))
        return self._run(lambda: self._changed(what, uplink, seqs))

    def _shown(self, uplink: str | None, seq: str) -> int:
        found = self._items("buffer.quarantined", uplink=uplink, seq=seq)
        if not found:
            raise BufferError(f"{uplink} has no event {seq} in its quarantine", "see `quarantine FILE list`")
        self._out.write(orjson.dumps(found[0], option=orjson.OPT_INDENT_2).decode() + "\n")
        return GOOD

    def _changed(self, what: str, uplink: str | None, seqs: list[str] | None) -> int:
        do = "buffer.retry" if what == "retry" else "buffer.discard"
        (found,) = self._items(do, uplink=uplink, seqs=seqs)
        words = "wait for another attempt" if what == "retry" else "were deleted"
        if self._as_json:
            return self._json(found)
        self._out.write(f"{found['count']} {words}\n")
        return GOOD if found["count"] else TROUBLE

    def estimate(self) -> int:
        """How long an outage may last."""
        return self._run(self._estimate)

    def _estimate(self) -> int:
        (found,) = self._items("buffer.stats")
        stored = sum(of["events"] for of in self._classes().values())
        free = shutil.disk_usage(self._state_dir / Path(self._config.buffer.path).parent).free
        fits = estimate(found, stored, free, self._config.buffer)
        if self._as_json:
            return self._json(fits._asdict())
        rows = [
            ("outage that fits", f"{fits.hours:,.1f} h"),
            ("bound by", f"buffer.{fits.bound}"),
            ("events an hour", f"{fits.events_per_hour:,.0f}"),
            ("bytes an event", f"{fits.bytes_per_event:,.0f}"),
            ("room by max_size", _size(fits.room["max_size"])),
            ("room by min_free_disk", _size(fits.room["min_free_disk"])),
        ]
        self._show(Sheet("estimate", ("what", ">is"), rows))
        return GOOD

    def _listed(self, do: str, **given: Any) -> int:
        if self._as_json:
            return self._exported(do, **given)
        rows = [
            (_number(one), one["time"], one["type"].removeprefix("linegate."), one["subject"], *_about(one))
            for one in self._items(do, **given)
        ]
        more = ("uplink", "again", "why") if do == "buffer.quarantined" else ()
        self._show(Sheet("events", (">seq", "time", "type", "subject", *more), rows))
        return GOOD

    def _exported(self, do: str, **given: Any) -> int:
        progress, count = Progress(sys.stderr), 0

        def write(item: dict[str, Any]) -> None:
            nonlocal count
            count += 1
            self._out.write(orjson.dumps(item).decode() + "\n")
            if count % 1000 == 0:
                progress(f"{count:,} events, seq {item['seq']}")

        answer(self._config, self._state_dir, write, do, **given)
        progress.done()
        return GOOD

    def _items(self, do: str, **given: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        answer(self._config, self._state_dir, items.append, do, **given)
        return items

    def _json(self, found: dict[str, Any]) -> int:
        self._out.write(orjson.dumps(found).decode() + "\n")
        return GOOD

    def _show(self, sheet: Sheet) -> None:
        if self._out.isatty():
            Console().print(drawn(sheet, lambda _cell: ""))
        else:
            self._out.writelines(f"{line}\n" for line in aligned(sheet))

    def _run(self, work: Callable[[], int]) -> int:
        try:
            return work()
        except (ControlError, BufferError) as error:
            sys.stderr.write(f"{error.why}; {error.remedy}\n" if error.remedy else f"{error.why}\n")
            return WRONG


def _number(item: dict[str, Any]) -> str:
    """By what the event is called in a command: its seq, or its id where it is of a stream before this one."""
    return str(item["quarantine"]["event"] if "quarantine" in item else item["seq"])


def _about(item: dict[str, Any]) -> Iterator[str]:
    if (about := item.get("quarantine")) is not None:
        yield from (about["uplink"], "yes" if about["retrying"] else "no", about["why"])


def _size(size: float) -> str:
    return f"{size / 1e6:,.1f} MB"
