"""`linegate status`: the running daemon for people, what is wrong first."""

from __future__ import annotations

import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TextIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from gateway.sheet import Sheet, aligned, drawn, shown_number
from protocols.discovery import shown_line

GOOD, TROUBLE, WRONG = 0, 1, 2
ANSWER_S = 10.0
EVERY_S = 1.0
"""Between two looks of a person who watches."""
MOST_ANSWER = 64_000_000

OURS = {"checks", "machines"}
"""One of these is in what a daemon answers."""

Answer = Mapping[str, Any]


class Where(NamedTuple):
    """The endpoint, and what it asks of us."""

    url: str
    token: str | None = None
    ca: str | None = None


class Unreachable(Exception):
    """Nobody answers as a daemon does; in words."""


class WrongUse(Exception):
    """What cannot be asked at all; in words."""


def show_status(where: Where, *, signals: bool, watch: bool, as_json: bool, out: TextIO | None = None) -> int:
    """The exit code: 0 where all is well, 1 where something is not or nobody answers, 2 for what is no address."""
    out = sys.stdout if out is None else out
    try:
        if not watch:
            health, line = _ask(where, signals)
            _write(health, line, out, as_json=as_json)
            return GOOD if health["status"] == "pass" else TROUBLE
        _watch(where, signals, out, as_json)
    except (Unreachable, WrongUse) as error:
        sys.stderr.write(f"{error}\n")
        return WRONG if isinstance(error, WrongUse) else TROUBLE
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    return GOOD


def _watch(where: Where, signals: bool, out: TextIO, as_json: bool) -> None:
    if as_json or not out.isatty():
        while True:
            _write(*_ask(where, signals), out, as_json=as_json)
            time.sleep(EVERY_S)
    with Live(console=Console(file=out), auto_refresh=False, screen=True) as live:
        while True:
            try:
                shown: RenderableType = Group(*_drawn(*_ask(where, signals)))
            except Unreachable as unreachable:  # it may come back
                shown = Text(str(unreachable), style="bold red")
            live.update(shown, refresh=True)
            time.sleep(EVERY_S)


def _ask(where: Where, signals: bool) -> tuple[Answer, Answer]:
    base = where.url.rstrip("/")
    return _get(where, f"{base}/health"), _get(where, f"{base}/api/line{'?signals' if signals else ''}")


def _get(where: Where, url: str) -> Answer:
    if not url.startswith(("http://", "https://")):
        raise WrongUse(f"{where.url} is no address of an endpoint; write http://127.0.0.1:8480")
    headers = {} if where.token is None else {"Authorization": f"Bearer {where.token}"}
    context = _trusting(where.ca) if url.startswith("https:") else None
    try:
        with urlopen(Request(url, headers=headers), timeout=ANSWER_S, context=context) as answer:
            body = answer.read(MOST_ANSWER)
    except HTTPError as error:  # /health answers 503 with its report where something fails
        body = error.read(MOST_ANSWER)
        if error.code in (401, 403):
            raise Unreachable(f"{url} wants another token: give it with --token-env") from None
    except (URLError, OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        remedy = "see whether the daemon runs (systemctl status linegate@LINE), and `health.listen` of its file"
        raise Unreachable(f"{url} does not answer: {why}; {remedy}") from None
    try:
        found = orjson.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not OURS & found.keys():
        raise Unreachable(f"{url} does not answer as linegate does; give the address of `health.listen`") from None
    return found


def _trusting(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # SSLError is one
        raise WrongUse(f"{ca} is no file of certificates that can be read: {error.strerror or error}") from None


def _write(health: Answer, line: Answer, out: TextIO, *, as_json: bool) -> None:
    if as_json:
        out.write(orjson.dumps({"health": health, "line": line}).decode() + "\n")
    elif out.isatty():
        Console(file=out).print(Group(*_drawn(health, line)))
    else:
        out.write(f"{_headline(health, line)}\n")
        for sheet in _sheets(health, line):
            out.write("\n".join(("", sheet.title, *aligned(sheet))) + "\n")
    out.flush()


def _drawn(health: Answer, line: Answer) -> Iterator[RenderableType]:
    yield Text(_headline(health, line), style="bold")
    for sheet in _sheets(health, line):
        yield Text(f"\n{sheet.title}", style="bold")
        yield drawn(sheet, lambda cell: STYLES.get(cell, ""))


STYLES = {
    "pass": "green", "warn": "yellow", "fail": "bold red", "execute": "green", "unknown": "magenta", "held": "red",
    "aborted": "bold red", "suspended": "yellow", "connected": "green", "good": "green", "bad": "bold red",
}  # fmt: skip


def _headline(health: Answer, line: Answer) -> str:
    place = line["line"]
    where = " / ".join(place[key] for key in ("enterprise", "site", "area", "name"))
    return (
        f"{where}: {health['status']}: {shown_line(health['description'], 200)}; configuration {line['configuration']}"
    )


def _sheets(health: Answer, line: Answer) -> Iterator[Sheet]:
    """What is wrong first, each with its remedy."""
    wrong = [
        (name, check["status"], shown_line(check.get("output", "")), shown_line(check.get("remedy", "")))
        for name, (check,) in health["checks"].items()
        if check["status"] != "pass"
    ]
    if wrong:
        yield Sheet("wrong", ("what", "is", "why", "remedy"), sorted(wrong, key=lambda row: row[1]))
    yield Sheet("machines", MACHINE, [_machine(name, one, line["time"]) for name, one in line["machines"].items()])
    if line["job"] is not None:
        job = line["job"]
        rows = [(key.replace("_", " "), _text(job.get(key))) for key in JOB if job.get(key) is not None]
        yield Sheet("job", ("what", ">is"), rows)
    yield Sheet("devices", ("device", "connected", "endpoint", ">ms", ">age s", ">bad"), [*_devices(health, line)])
    yield Sheet("uplinks", ("uplink", "is", ">backlog"), [*_uplinks(line)])
    for name, device in line["devices"].items():
        if "signals" in device:
            rows = [(signal, *_signal(one)) for signal, one in device["signals"].items()]
            yield Sheet(f"signals of {name}", ("signal", ">value", "quality", "why"), rows)


MACHINE = ("machine", "state", ">for", "reason", ">good", ">scrap", ">/min", ">OEE of the shift or day")
JOB = ("job", "product", "total", "good", "scrap", "target", "forecast", "due")


def _machine(name: str, machine: Answer, now: str) -> tuple[str, ...]:
    parts, reason, kpi = machine["parts"] or {}, machine.get("reason"), machine.get("kpi") or {}
    window = kpi.get("shift") or kpi.get("day") or {}
    return (
        name,
        _text(machine["state"]),
        _lasting(machine["since"], now),
        shown_line(_text(reason and (reason.get("text") or reason.get("code"))), 40),
        _text(parts.get("good")),
        _text(parts.get("scrap")),
        _text(machine.get("rate_now_per_min")),
        _percent(window),
    )


def _devices(health: Answer, line: Answer) -> Iterator[tuple[str, ...]]:
    for name, device in line["devices"].items():
        values = health["checks"].get(f"device:{name}", [{}])[0].get("observedValue", {})
        connected = "connected" if device["connected"] else "lost"
        figures = (values.get("round_trip_ms"), values.get("age_s"), values.get("bad_signals"))
        yield (name, connected, device["endpoint"], *map(_text, figures))


def _uplinks(line: Answer) -> Iterator[tuple[str, ...]]:
    for name, uplink in line["uplinks"].items():
        yield name, uplink["state"], _text(uplink["backlog"])


def _signal(signal: Answer) -> tuple[str, ...]:
    value = signal.get("text") or signal["value"]
    return (
        "" if value is None else shown_line(shown_number(value), 60),
        signal["quality"],
        shown_line(signal["why"] or "", 80),
    )


def _lasting(began: str | None, now: str) -> str:
    if began is None:
        return ""
    seconds = (_time(now) - _time(began)).total_seconds()
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _percent(window: Answer) -> str:
    """OEE so far: one figure where its bounds are the same."""
    low, high = window.get("oee_low"), window.get("oee_high")
    if low is None or high is None:
        return ""
    return f"{low:.1%}" if f"{low:.1%}" == f"{high:.1%}" else f"{low:.1%} to {high:.1%}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.1f}" if isinstance(value, float) else str(value)
