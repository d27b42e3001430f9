"""Where a buffer is between being opened and being closed."""

import enum


class Phase(enum.Enum):
    """opened -> running -> ended -> closed; `close` also ends an outbox that never ran."""

    OPENED = enum.auto()
    RUNNING = enum.auto()
    ENDED = enum.auto()
    CLOSED = enum.auto()
