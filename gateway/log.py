"""Logging: structlog on standard error, as JSON where no person watches a terminal."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def _without(library: str) -> Iterator[None]:
    """As if a library were not installed: importing it fails, as it is documented for None in `sys.modules`."""
    hidden = sys.modules.get(library)
    sys.modules[library] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[library]
        if hidden is not None:
            sys.modules[library] = hidden


with _without("rich"):  # structlog draws tracebacks with it where it can; a log is to be searched, and rich takes 6 MB
    import structlog

    from gateway.log_repeats import Repeats

_SHARED = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def _printable(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Device strings are untrusted: nothing that moves a cursor or forges a line reaches a terminal."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception":
            event[key] = _escaped(value)
    return event


def _escaped(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _traceback(out: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    """A traceback for a terminal; the message of an exception may quote a device."""
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, exc_info)
    out.write("\n".join(_escaped(line) for line in plain.getvalue().split("\n")))


def configure_logging(level: str = "INFO") -> None:
    """Set up our loggers and those of the libraries, which speak only from WARNING on."""
    tty = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=_traceback) if tty else structlog.processors.JSONRenderer()
    )
    tail: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if not tty:
        tail.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            Repeats(),
            _printable,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[*_SHARED, _printable], processors=[*tail, renderer])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for library in ("pymodbus.logging", "aiomqtt", "mqtt", "aiosqlite", "asyncio"):
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLogger(library).level))
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # its warnings are anybody's who sends no HTTP
