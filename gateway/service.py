"""Runs the daemon in an event loop, and turns what ends it into words and an exit code."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
import uvloop

from gateway.app import App
from gateway.checkpoint import CheckpointError
from gateway.config.model import Config
from gateway.outbox.errors import BufferError
from gateway.selftest import NotFit, check_host
from gateway.systemd import Notifier

log = structlog.get_logger("gateway")


def run_daemon(file: Path, config: Config, state_dir: Path, seconds: float | None, *, record: bool = False) -> int:
    """Run one line until it is stopped; 0, 1 where the store or the engine ended it, 2 where only a person can mend it.

    `file` is where `config` was read, and can be reloaded from. `record`: what the engine decides from is kept.
    """
    try:
        check_host(config, state_dir)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(file, config, state_dir, seconds, record))
    except NotFit as unfit:
        return _not_started(unfit.why, unfit.remedy, unfit.code)
    except (BufferError, CheckpointError) as error:
        return _not_started(error.why, error.remedy)
    except OSError as error:
        return _not_started(str(error), f"check that {state_dir} can be written")
    except ExceptionGroup as group:
        log.error(
            "ended_by_error", exc_info=group, remedy="the service manager restarts the daemon; report the traceback"
        )
        return 1


def _not_started(why: str, remedy: str, code: int = 1) -> int:
    """In the log, and where `systemctl status` shows it."""
    log.error("not_started", why=why, remedy=remedy)
    notifier = Notifier()
    notifier.send(STATUS=f"not started: {why}; {remedy}".replace("\n", " "))
    notifier.close()
    return code


async def _run(file: Path, config: Config, state_dir: Path, seconds: float | None, record: bool) -> int:
    return await App(config, state_dir, Notifier(), file=file, record=record).run(seconds)
