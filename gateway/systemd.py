"""What systemd is told, and asks: readiness, status, the watchdog (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends to `$NOTIFY_SOCKET`; does nothing where there is none."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._socket: socket.socket | None = None
        address = environ.get("NOTIFY_SOCKET", "")
        if address[:1] in ("/", "@"):
            self._address = "\0" + address[1:] if address[0] == "@" else address
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        self.watchdog_s = self._watchdog(environ)
        """How often at the latest the watchdog wants to hear of us, None where it does not watch."""

    @staticmethod
    def _watchdog(environ: Mapping[str, str]) -> float | None:
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environ.get("WATCHDOG_USEC", "")
        return int(usec) / 1_000_000 if for_us and usec.isdigit() and int(usec) > 0 else None

    def send(self, **state: str | int) -> None:
        """Send assignments (`READY=1`); a service manager that does not listen is no concern of ours."""
        if self._socket is None:
            return
        text = "\n".join(f"{key}={value}" for key, value in state.items())
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:
            return

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
