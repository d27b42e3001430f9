"""Gathers what an archive for help holds, as far as it can be had: each part, or why it is missing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from ruamel.yaml import YAML

from gateway.backup.making import recordings_of
from gateway.buffer.asking import answer
from gateway.config.loader import document_of, files_of, load_config
from gateway.config.model import Config
from gateway.config.problems import ConfigProblems
from gateway.control.client import ask_daemon
from gateway.control.wire import ControlError, NoDaemon, Refused
from gateway.outbox.errors import BufferError
from gateway.recording.files import recorded
from gateway.support import machine
from gateway.support.certificates import described
from gateway.support.redaction import Redaction

EVENTS = 1000
MOST_RECORDING = 50_000_000
"""Bytes of a recording's file that an archive takes along."""
_OURS = "linegate"
_UNKNOWN = "is not a key here"
_CERTIFICATES = ("certificate", "server_certificate", "ca")

Ask = Callable[[], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Part:
    """One file for the archive."""

    name: str
    what: str
    content: bytes


@dataclass(slots=True)
class Gathered:
    """All that could be had, and what could not."""

    parts: list[Part] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """What, and why."""


class Gathering:
    """Of one line. The configuration may be wrong, the daemon down or stuck: the rest is gathered all the same."""

    def __init__(self, file: Path, state_dir: Path, log: Path | None, *, recording: bool) -> None:
        self._file, self._state_dir = file, state_dir
        self._log, self._recording = log, recording
        self._found = Gathered()
        self._redaction = Redaction()
        self._config: Config | None = None
        self._buffer = state_dir / "none"
        self._silent = ""
        """Why the daemon need not be asked again."""

    def collect(self) -> Gathered:
        """Everything; the configuration first, for it says what is secret."""
        configuration, problems = self._read_configuration()
        self._add("configuration.yaml", "the configuration: no secrets, users, x- keys and comments", configuration)
        self._add("check.txt", "its files, and what `linegate check` says of it", problems)
        self._ask_daemon()
        self._ask_buffer()
        self._add_json(
            "versions.json", "versions of linegate, Python, SQLite, kernel and libraries", machine.versions()
        )
        self._add_json("computer.json", "processors, load, memory, disk, clock", machine.computer(self._state_dir))
        self._try("files.json", "names and sizes in the state directory", lambda: _json(machine.files(self._state_dir)))
        self._try(
            "certificates.json",
            "subjects and validity of certificates; no key",
            lambda: _json([*self._certificates()]),
        )
        self._try("log.txt", "the newest lines of the log", self._log_text)
        if self._recording:
            self._add_recording()
        return self._found

    def _read_configuration(self) -> tuple[str, str]:
        """The configuration and what there is to say of it, both still to be redacted as texts."""
        unknown: set[str] = set()
        try:
            loaded = load_config(self._file)
            said = ["no problem", *loaded.notes]
            self._config = loaded.config
        except ConfigProblems as found:
            said = [str(problem) for problem in found.problems]
            unknown = {problem.path for problem in found.problems if problem.message.startswith(_UNKNOWN)}
        data = document_of(self._file).data
        redacted = self._redaction.configuration(data, unknown)
        self._buffer = self._state_dir / _buffer_of(self._config, data)
        text = io.StringIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.width, yaml.default_flow_style = 10_000, False
        yaml.dump(redacted, text)
        self._redaction.keep_words_of(text.getvalue(), str(self._file), str(self._state_dir), _OURS)
        return text.getvalue(), "\n".join([*map(str, files_of(self._file)), "", *said, ""])

    def _ask_daemon(self) -> None:
        def ask(do: str) -> dict[str, Any]:
            (item,) = self._asked(lambda: [*ask_daemon(self._state_dir, self._buffer, do)])
            return item

        self._try("health.json", "/health of the daemon", lambda: _json(ask("health")))
        self._try("metrics.txt", "/metrics of the daemon", lambda: str(ask("metrics")["text"]))
        self._try("line.json", "/api/line?signals: machines, signals, uplinks now", lambda: _json(ask("line")))

    def _ask_buffer(self) -> None:
        """The daemon, or its buffer under its lock where none runs."""

        def ask(do: str, **given: Any) -> list[dict[str, Any]]:
            def asked() -> list[dict[str, Any]]:
                if self._config is None:
                    return [*ask_daemon(self._state_dir, self._buffer, do, **given)]
                items: list[dict[str, Any]] = []
                answer(self._config, self._state_dir, items.append, do, **given)
                return items

            return self._asked(asked)

        def events() -> str:
            return "".join(f"{_line(self._redaction.event(one))}\n" for one in ask("buffer.events", last=EVENTS))

        self._try("buffer.json", "`linegate buffer stats`", lambda: _json(ask("buffer.stats")[0]))
        self._try("events.ndjson", f"the newest {EVENTS} events, without names of people", events)

    def _asked(self, ask: Ask) -> list[dict[str, Any]]:
        """Raises ControlError; at once where the daemon has fallen silent before, for it takes a minute to find out."""
        if self._silent:
            raise ControlError(self._silent)
        try:
            return ask()
        except (NoDaemon, Refused):
            raise
        except ControlError as error:
            self._silent = error.why
            raise

    def _certificates(self) -> Iterator[dict[str, Any]]:
        pki = self._state_dir / "pki"
        named = set() if self._config is None else set(_named(self._config.model_dump(mode="json")))
        files = (path for path in pki.rglob("*") if path.is_file())
        yield from described(sorted({*files, *map(Path, named)}))

    def _log_text(self) -> str:
        return machine.journal(self._file.stem) if self._log is None else machine.tail(self._log)

    def _add_recording(self) -> None:
        name = "the newest file of the recording"
        try:
            if self._config is None:
                raise OSError("the configuration does not say where it is")
            newest = recorded(recordings_of(self._config, self._state_dir))[-1:]
            if not newest:
                raise OSError("nothing is recorded")
            if (size := newest[0].stat().st_size) > MOST_RECORDING:
                raise OSError(f"{newest[0]} has {size:,} bytes; send it by itself")
            content = newest[0].read_bytes()
        except OSError as error:
            self._found.missing[name] = error.strerror or str(error)
        else:
            what = f"{name}: every value read, texts too, as it is"
            self._found.parts.append(Part(f"recordings/{newest[0].name}", what, content))

    def _try(self, name: str, what: str, text: Callable[[], str]) -> None:
        try:
            self._add(name, what, text())
        except (ControlError, BufferError) as error:
            self._found.missing[f"{name}: {what}"] = self._redaction.text(error.why)
        except OSError as error:
            self._found.missing[f"{name}: {what}"] = self._redaction.text(error.strerror or str(error))

    def _add_json(self, name: str, what: str, value: Any) -> None:
        self._add(name, what, _json(value))

    def _add(self, name: str, what: str, text: str) -> None:
        self._found.parts.append(Part(name, what, self._redaction.text(text).encode()))


def _buffer_of(config: Config | None, data: Any) -> str:
    """The buffer's file, of a configuration that does not load as far as it can be read."""
    if config is not None:
        return config.buffer.path
    sections = data if isinstance(data, Mapping) else {}
    for section, key, ending in (("buffer", "path", ""), ("line", "name", ".db")):
        found = sections.get(section)
        if isinstance(found, Mapping) and isinstance(found.get(key), str):
            return f"{found[key]}{ending}"
    return "line.db"


def _named(value: Any) -> Iterator[str]:
    """Files of certificates that a configuration names."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _CERTIFICATES and isinstance(inner, str):
                yield inner
            else:
                yield from _named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _line(value: Any) -> str:
    return orjson.dumps(value).decode()
