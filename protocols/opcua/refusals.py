"""Says in words why an OPC UA server could not be used, and what to do on its side or on ours."""

from __future__ import annotations

import socket

from asyncua import ua
from cryptography.exceptions import InvalidSignature

from protocols.driver import ConfigError, ConnectFailed, LinkError
from protocols.opcua.facts import printable

LIBRARY_ERRORS = (ua.UaError, OSError, TimeoutError, AssertionError, InvalidSignature)
"""What asyncua raises where a server cannot be used."""

_TRUST_US = (
    "trust the gateway's certificate on the server: `linegate opcua cert FILE` shows it and its thumbprint; "
    "many servers list it as rejected and let it be moved to the trusted ones"
)
_RENEW_OURS = "look at it with `linegate opcua cert FILE`; make a new one with `--renew`, and trust that on the server"
_AUTHORITY = "the server also needs the certificates and revocation lists of the authorities that signed ours"
_USER = "check `user` here, and the user's rights and state on the server"
_CLOCKS = "check both clocks; `linegate opcua cert FILE` shows until when it is valid"
_SESSIONS = "close other clients or raise its limit; sessions of clients that vanished end after their timeout"
_ENDPOINT = "compare `endpoint` with what `linegate discover URL` lists: protocol, host, port and path"
_POLICIES = "`linegate discover URL` lists what it offers; choose one of these, or switch this one on in the server"
_DEVICE = "look at the server's own state and log"

_FAILED: dict[str, tuple[str, str]] = {
    "BadTooManySessions": ("the server has no session left for us", _SESSIONS),
    "BadMaxConnectionsReached": ("the server takes no more connections", _SESSIONS),
    "BadTcpServerTooBusy": ("the server is too busy", _SESSIONS),
    "BadServerTooBusy": ("the server is too busy", _SESSIONS),
    "BadTcpNotEnoughResources": ("the server has no resources for another connection", _SESSIONS),
    "BadResourceUnavailable": ("the server has no resources for this", _SESSIONS),
    "BadOutOfMemory": ("the server is out of memory", _DEVICE),
    "BadTooManySubscriptions": ("the server has no subscription left for us", _SESSIONS),
    "BadServerHalted": ("the server has stopped", "start it, or wait until it has started"),
    "BadServerNotConnected": ("the server is not connected to what it serves", _DEVICE),
    "BadShutdown": ("the server shuts down", "wait until it is back"),
    "BadTimeout": ("the server did not answer in time", "check its load, and `timeout` here"),
    "BadRequestTimeout": ("the server did not answer in time", "check its load, and `timeout` here"),
    "BadSessionIdInvalid": ("the server has forgotten the session", "nothing: a new one is made"),
    "BadSessionClosed": ("the server has closed the session", "nothing: a new one is made"),
    "BadSessionNotActivated": ("the server does not take the session as logged in", _USER),
    "BadSecureChannelClosed": ("the server has closed the secure channel", "nothing: a new one is made"),
    "BadSecureChannelIdInvalid": ("the server has forgotten the secure channel", "nothing: a new one is made"),
    "BadTcpSecureChannelUnknown": ("the server has forgotten the secure channel", "nothing: a new one is made"),
    "BadSecureChannelTokenUnknown": ("the server has forgotten the channel's keys", "nothing: a new channel is made"),
    "BadConnectionClosed": ("the server closed the connection", "see the server's log for the reason"),
    "BadConnectionRejected": ("the server refuses the connection", "see the server's log for the reason"),
    "BadInvalidTimestamp": ("the server finds our clock too far from its own", "synchronise both clocks"),
    "BadNonceInvalid": (
        "the server finds our random number used before or too short",
        "restart the server if this stays: its channels are mixed up",
    ),
    "BadInternalError": ("the server failed inside", _DEVICE),
    "BadUnexpectedError": ("the server failed inside", _DEVICE),
    "BadCommunicationError": ("the server could not communicate", _DEVICE),
}
"""Trouble that may pass by itself: tried again with a backoff."""

_WRONG: dict[str, tuple[str, str]] = {
    "BadUserAccessDenied": (
        "the server does not let this user in: the name or the password is wrong, or not allowed",
        _USER,
    ),
    "BadIdentityTokenRejected": ("the server does not accept this user or password", _USER),
    "BadIdentityTokenInvalid": (
        "the server does not take this kind of log-in",
        "see which of anonymous, user name and certificate it allows here, and write `user` so",
    ),
    "BadUserSignatureInvalid": (
        "the server finds that the user's key does not fit the user's certificate",
        "name the key that the user's certificate was made with",
    ),
    "BadIdentityChangeNotSupported": ("the server does not let the user change", "restart the gateway"),
    "BadSecurityChecksFailed": ("the server refuses our security, most likely since it does not trust us", _TRUST_US),
    "BadCertificateUntrusted": ("the server does not trust our certificate", _TRUST_US),
    "BadCertificateInvalid": ("the server finds our certificate invalid", _RENEW_OURS),
    "BadCertificateTimeInvalid": ("the server finds our certificate expired or not valid yet", _CLOCKS),
    "BadCertificateIssuerTimeInvalid": ("the server finds the certificate of our authority expired", _CLOCKS),
    "BadCertificateUriInvalid": ("the server finds another application URI in our certificate", _RENEW_OURS),
    "BadCertificateHostNameInvalid": ("the server finds another host name in our certificate", _RENEW_OURS),
    "BadCertificateUseNotAllowed": ("the server finds that our certificate is not for a client", _RENEW_OURS),
    "BadCertificateIssuerUseNotAllowed": ("the server finds that our authority may not sign certificates", _AUTHORITY),
    "BadCertificatePolicyCheckFailed": (
        "the server finds our certificate too weak or too strong for this policy",
        "see which key length the server wants, and make one with `linegate opcua cert FILE --renew`",
    ),
    "BadCertificateRevocationUnknown": ("the server cannot tell whether our certificate was revoked", _AUTHORITY),
    "BadCertificateIssuerRevocationUnknown": ("the server cannot tell whether our authority was revoked", _AUTHORITY),
    "BadCertificateRevoked": ("the server has our certificate as revoked", _RENEW_OURS),
    "BadCertificateIssuerRevoked": ("the server has our authority's certificate as revoked", _RENEW_OURS),
    "BadCertificateChainIncomplete": ("the server does not know who signed our certificate", _AUTHORITY),
    "BadNoValidCertificates": ("the server wants a certificate and has got none", _RENEW_OURS),
    "BadApplicationSignatureInvalid": (
        "the server finds our signature wrong",
        "see that `private_key` is the key of `certificate`; the server may have an older one of ours: trust it anew",
    ),
    "BadSecurityPolicyRejected": ("the server does not offer this security policy", _POLICIES),
    "BadSecurityModeRejected": ("the server does not offer this security mode", _POLICIES),
    "BadSecurityModeInsufficient": ("the server wants more security for this", _POLICIES),
    "BadTcpEndpointUrlInvalid": ("the server has no such endpoint", _ENDPOINT),
    "BadServerUriInvalid": ("the server is not the one that was asked for", _ENDPOINT),
    "BadServerNameMissing": ("the server wants to be called by another name", _ENDPOINT),
    "BadServiceUnsupported": ("the server does not offer this service", "see which profiles the server supports"),
    "BadProtocolVersionUnsupported": ("the server speaks another version of OPC UA", "bring its firmware up to date"),
    "BadTcpMessageTooLarge": ("the server finds a message too large", "raise its limit of message sizes"),
    "BadRequestTooLarge": ("the server finds a request too large", "raise its limit of message sizes"),
    "BadResponseTooLarge": ("the server finds its answer too large", "raise its limit of message sizes"),
    "BadEncodingLimitsExceeded": ("a message is larger than the limits allow", "raise its limit of message sizes"),
    "BadLicenseExpired": ("the server's license has expired", "renew it"),
    "BadLicenseLimitsExceeded": ("the server's license allows no more", "free what others use, or extend the license"),
    "BadLicenseNotAvailable": ("the server has no license for this", "install one"),
    "BadOutOfService": ("the server is out of service", _DEVICE),
}
"""What only a person can mend: said, and tried again slowly. A refused user must not be locked out by trying often."""


def explain(error: BaseException, peer: str = "the server") -> LinkError:
    """The error as why and remedy: ConnectFailed where it may pass, ConfigError where a person has to act."""
    if isinstance(error, LinkError):
        return error
    if isinstance(error, ua.UaStatusCodeError):
        return _of_status(error.code)
    if isinstance(error, AssertionError):
        # asyncua asserts that a channel was opened, and so loses the reason that the server gave
        return ConfigError("the server refuses a secure channel, most likely since it does not trust us", _TRUST_US)
    if isinstance(error, InvalidSignature):
        why = "the server's signature does not fit its certificate"
        return ConfigError(why, "find out who answers at this address; restart the server if its certificate is new")
    if isinstance(error, ua.UaError):
        return _of_library(error)
    if isinstance(error, OSError):
        return _of_network(error, peer)
    return ConnectFailed(f"the server's answers are garbled ({type(error).__name__})", _ENDPOINT)


def _of_status(code: int) -> LinkError:
    name = ua.status_codes.get_name_and_doc(code)[0]
    if name in _FAILED:
        why, remedy = _FAILED[name]
        return ConnectFailed(f"{why} ({name})", remedy)
    if name in _WRONG:
        why, remedy = _WRONG[name]
        return ConfigError(f"{why} ({name})", remedy)
    doc = ua.status_codes.get_name_and_doc(code)[1]
    return ConnectFailed(f"the server refuses: {doc.rstrip('.')} ({name}, {code:#010x})", _DEVICE)


def _of_library(error: ua.UaError) -> LinkError:
    text = str(error)
    if text == "Server certificate mismatch":
        why = "the server shows another certificate in the session than when it was asked for its endpoints"
        return ConfigError(why, "find out who answers at this address; several servers may share it")
    if text.startswith("No matching endpoints"):
        return ConfigError("the server does not offer this security policy and mode in a session", _POLICIES)
    if text.startswith("No matching policy"):
        return ConfigError("the server answers with another security policy than it was asked with", _ENDPOINT)
    return ConnectFailed(f"the server does not behave like OPC UA: {printable(text)[:120]}", _ENDPOINT)


def _of_network(error: BaseException, peer: str) -> LinkError:
    if isinstance(error, socket.gaierror):
        return ConnectFailed(f"the name in {peer} cannot be resolved", "check its spelling and this machine's DNS")
    if isinstance(error, ConnectionRefusedError):
        return ConnectFailed(f"{peer} refuses the connection", "check that the server runs and listens on that port")
    if isinstance(error, TimeoutError):
        return ConnectFailed(f"{peer} does not answer", "check the address, the network and firewalls between")
    if isinstance(error, ConnectionError):
        remedy = "see the server's log: it may not trust the gateway's certificate; or the port is not one of OPC UA"
        return ConnectFailed(f"{peer} closed the connection while it was being set up", remedy)
    reason = getattr(error, "strerror", None) or printable(str(error)) or type(error).__name__
    return ConnectFailed(f"{peer} cannot be reached: {reason}", "check the address and the network")
