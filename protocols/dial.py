"""Opens a TCP or TLS connection in a daemon thread, and says in words why it did not work.

Name look-ups, connecting and handshakes block, and may do so for long. Done here they hold neither the loop nor the
exit, which an executor's threads would.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

from protocols.driver import ConfigError, ConnectFailed
from protocols.settings import TlsConfig
from protocols.worker import in_daemon_thread

DIAL_S = 5.0
"""Most that one address may take to accept, and then to shake hands."""

_UNTRUSTED = {18, 19, 20, 21}  # X509_V_ERR: self-signed, self-signed in chain, no issuer, no chain
_EXPIRED = 10
_NOT_YET = 9
_WRONG_NAME = {62, 64}  # host name, IP address


def tls_context(settings: TlsConfig | None) -> ssl.SSLContext:
    """A context that verifies certificate and host name; blocking. Raises ConfigError for files that cannot be used."""
    settings = settings or TlsConfig()
    try:
        context = ssl.create_default_context(cafile=settings.ca)
    except OSError as error:
        raise _unusable("tls.ca", settings.ca, error) from None
    if settings.certificate is not None:
        load_own(context, settings)
    return context


def server_context(settings: TlsConfig) -> ssl.SSLContext:
    """With an authority only clients that it has certified are let in; blocking. Raises ConfigError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_own(context, settings)
    if settings.ca is not None:
        try:
            context.load_verify_locations(settings.ca)
        except OSError as error:
            raise _unusable("tls.ca", settings.ca, error) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def load_own(context: ssl.SSLContext, settings: TlsConfig) -> None:
    """The certificate that we show; once more where it was replaced. Blocking. Raises ConfigError."""
    try:
        # without a function OpenSSL would ask on the terminal for the passphrase of an encrypted key
        context.load_cert_chain(str(settings.certificate), settings.private_key, password=lambda: b"")
    except OSError as error:
        raise _unusable("tls.certificate", f"{settings.certificate} with {settings.private_key}", error) from None


async def dial(host: str, port: int, make_context: Callable[[], ssl.SSLContext] | None) -> socket.socket:
    """A connected socket, in TLS where `make_context` is given. Raises ConnectFailed or ConfigError."""

    def connect() -> socket.socket:
        context = make_context() if make_context is not None else None
        plain = socket.create_connection((host, port), timeout=DIAL_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            return plain
        return context.wrap_socket(plain, server_hostname=host)  # closes it where the handshake fails

    try:
        return await in_daemon_thread("dial", connect, discard=lambda late: late.close())
    except (OSError, UnicodeError) as error:
        raise connect_failed(f"{host}:{port}", host, error) from error


def connect_failed(peer: str, host: str, error: Exception) -> ConnectFailed:
    """What went wrong in words, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(peer, host, error)
    if isinstance(error, ssl.SSLError):
        words = (error.reason or str(error)).replace("_", " ").lower()
        if "alert" in words and ("certificate" in words or "unknown ca" in words):
            remedy = "set `tls.certificate` and `tls.private_key` to a client certificate that it accepts"
            if "required" not in words:
                remedy += ": from an authority that it knows, not expired, with those between"
            return ConnectFailed(f"{peer} does not accept who we are: {words}", remedy)
        return ConnectFailed(f"{peer} does not speak TLS with us: {words}", "check that the port is the one for TLS")
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return ConnectFailed(f"the name {host} cannot be resolved", "check the host's spelling and this machine's DNS")
    if isinstance(error, ConnectionRefusedError):
        return ConnectFailed(f"{peer} refuses the connection", "check that the server runs and listens on that port")
    if isinstance(error, TimeoutError):
        return ConnectFailed(f"{peer} does not answer", "check the address, the network and firewalls between")
    if isinstance(error, ConnectionError):
        remedy = "check whether the port is the one for TLS, and whether the server wants a client certificate"
        return ConnectFailed(f"{peer} closed the connection at once", remedy)
    reason = getattr(error, "strerror", None) or str(error)
    return ConnectFailed(f"{peer} cannot be reached: {reason}", "check the address and the network")


def _untrusted(peer: str, host: str, error: ssl.SSLCertVerificationError) -> ConnectFailed:
    code: Any = error.verify_code
    if code in _WRONG_NAME:
        remedy = "write the host as the certificate names it, or have the certificate issued for this host"
        return ConnectFailed(f"the certificate of {peer} is for another host: {error.verify_message}", remedy)
    if code in _UNTRUSTED:
        remedy = (
            "set `tls.ca` to the certificate of the authority that signed it (itself, where it is self-signed), "
            "and have the server send those between"
        )
        return ConnectFailed(f"the certificate of {peer} is from an unknown authority: {error.verify_message}", remedy)
    if code in (_EXPIRED, _NOT_YET):
        words = "has expired" if code == _EXPIRED else "is not valid yet"
        return ConnectFailed(f"the certificate of {peer} {words}", "renew it, and check this machine's clock")
    return ConnectFailed(
        f"the certificate of {peer} is not accepted: {error.verify_message}", f"see to the certificate of {host}"
    )


def _unusable(key: str, path: str | None, error: OSError) -> ConfigError:
    reason = error.strerror
    if isinstance(error, ssl.SSLError):
        reason = "it is not the PEM file that belongs there, or needs a passphrase"
        if error.reason == "KEY_VALUES_MISMATCH":
            reason = "the key is not that of the certificate"
    return ConfigError(f"{key}: {path} cannot be used: {reason}", "check the path, the file's mode and its content")
