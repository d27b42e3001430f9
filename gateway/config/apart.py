"""Loads a configuration in a process of its own: reading YAML with all its places takes memory that no daemon needs.

As a module it is that process: it writes the configuration to its standard output.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

from gateway.config.model import Config


def load_apart(path: Path) -> Config:
    """The configuration at `path`, its notes on standard error; with problems, these are, and the process ends with 2.

    Called before there is an event loop, a thread or an open database, so that forking is safe.
    """
    sys.stderr.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os._exit(_send(path, writing))
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        packed = pipe.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        sys.exit(code if code > 0 else 1)
    config: Config = pickle.loads(packed)  # written by ourselves a moment ago, over a pipe that nobody else has
    return config


def _send(path: Path, writing: int) -> int:
    from gateway.check import load_or_exit

    try:
        config = load_or_exit(path, notes=True)
        sys.stderr.flush()
        _ = config.digest, config.policies  # kept: what it takes, to write out all that is configured, is taken here
        packed = pickle.dumps(config, protocol=pickle.HIGHEST_PROTOCOL)
    except SystemExit as ended:
        sys.stderr.flush()
        return int(ended.code or 0)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(packed)
    return 0


if __name__ == "__main__":  # a daemon that reloads has threads, and must not fork
    sys.exit(_send(Path(sys.argv[1]), os.dup(sys.stdout.fileno())))
