"""Every refusal in words: why, and what to do on which side."""

from __future__ import annotations

import socket

import pytest
from asyncua import ua
from cryptography.exceptions import InvalidSignature

from protocols.driver import ConfigError, ConnectFailed, LinkError
from protocols.opcua.refusals import _FAILED, _WRONG, explain

PEER = "opc.tcp://plc-7:4840/plant"


@pytest.mark.parametrize("name", sorted({*_FAILED, *_WRONG}))
def test_every_status_that_is_listed_is_one_and_has_words(name: str) -> None:
    error = explain(ua.UaStatusCodeError(getattr(ua.StatusCodes, name)))
    assert isinstance(error, ConnectFailed | ConfigError)
    assert error.why.endswith(f" ({name})")
    assert len(error.remedy) > 5


@pytest.mark.parametrize(
    ("name", "kind", "why", "remedy"),
    [
        ("BadTooManySessions", ConnectFailed, "no session left", "close other clients or raise its limit"),
        ("BadIdentityTokenRejected", ConfigError, "does not accept this user", "check `user` here"),
        ("BadUserAccessDenied", ConfigError, "does not let this user in", "the user's rights and state"),
        ("BadSecurityChecksFailed", ConfigError, "it does not trust us", "`linegate opcua cert FILE` shows it"),
        ("BadCertificateUntrusted", ConfigError, "does not trust our certificate", "moved to the trusted ones"),
        ("BadCertificateTimeInvalid", ConfigError, "expired or not valid yet", "check both clocks"),
        ("BadCertificateUriInvalid", ConfigError, "another application URI", "`--renew`"),
        ("BadSecurityPolicyRejected", ConfigError, "does not offer this security policy", "`linegate discover URL`"),
        ("BadNonceInvalid", ConnectFailed, "random number", "restart the server if this stays"),
        ("BadTcpEndpointUrlInvalid", ConfigError, "has no such endpoint", "host, port and path"),
        ("BadServerHalted", ConnectFailed, "has stopped", "start it"),
    ],
)
def test_words_of_what_happens_most(name: str, kind: type[LinkError], why: str, remedy: str) -> None:
    error = explain(ua.UaStatusCodeError(getattr(ua.StatusCodes, name)))
    assert type(error) is kind
    assert why in error.why
    assert remedy in error.remedy


def test_a_status_without_words_of_ours_has_its_own() -> None:
    error = explain(ua.UaStatusCodeError(ua.StatusCodes.BadDeviceFailure))
    assert type(error) is ConnectFailed
    assert error.why.startswith("the server refuses: There has been a failure in the device/data source")
    assert error.why.endswith("(BadDeviceFailure, 0x808b0000)")


@pytest.mark.parametrize(
    ("raised", "kind", "why"),
    [
        (AssertionError(), ConfigError, "refuses a secure channel, most likely since it does not trust us"),
        (InvalidSignature(), ConfigError, "the server's signature does not fit its certificate"),
        (ua.UaError("Server certificate mismatch"), ConfigError, "shows another certificate in the session"),
        (ua.UaError("No matching endpoints: 3, x"), ConfigError, "does not offer this security policy and mode"),
        (ua.UaError("No matching policy: x, 3"), ConfigError, "answers with another security policy"),
        (ua.UaError("Unsupported\x1b[2J type"), ConnectFailed, "does not behave like OPC UA: Unsupported?[2J type"),
        (ConnectionRefusedError(111, "refused"), ConnectFailed, f"{PEER} refuses the connection"),
        (TimeoutError(), ConnectFailed, f"{PEER} does not answer"),
        (ConnectionResetError(), ConnectFailed, f"{PEER} closed the connection while it was being set up"),
        (ConnectionError("Connection is closed"), ConnectFailed, "closed the connection"),
        (socket.gaierror(-2, "Name or service not known"), ConnectFailed, f"the name in {PEER} cannot be resolved"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), ConnectFailed, "answers are garbled (UnicodeDecodeError)"),
        (TypeError(), ConnectFailed, "the server's answers are garbled (TypeError)"),
        (OSError(113, "No route to host"), ConnectFailed, f"{PEER} cannot be reached: No route to host"),
    ],
)
def test_what_has_no_status(raised: Exception, kind: type[LinkError], why: str) -> None:
    error = explain(raised, PEER)
    assert type(error) is kind
    assert why in error.why
    assert error.remedy


def test_what_is_explained_already_stays_as_it_is() -> None:
    error = ConfigError("said", "do")
    assert explain(error) is error
