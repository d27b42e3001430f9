"""Secures a client before it connects: policy, certificates, user; and proves who the server is.

asyncua verifies no server and, asked to, takes the server's certificate from whoever answers. So the certificate is
fetched, validated and only then used: the channel is opened with that certificate and the configured policy and mode
alone, which makes a weaker one fail. What is validated is what is used, since without its key nobody answers.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from asyncua import Client, ua
from asyncua.crypto import security_policies
from cryptography import x509

from protocols.driver import ConfigError
from protocols.opcua.certificate import Identity, application_uri, load_identity, own_identity
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.facts import common_name, day, fingerprint, printable, split_chain
from protocols.opcua.pki import Pki, read_certificates, state_pki
from protocols.opcua.refusals import LIBRARY_ERRORS, explain
from protocols.opcua.security_config import SecurityConfig, UserConfig
from protocols.opcua.transport import ANSWER_S, GARBLED, connect_socket
from protocols.opcua.trust import Refused, Shown, TrustList, check_uri, trust_list
from protocols.worker import in_daemon_thread

PRODUCT_URI = "urn:linegate"
EXPIRES_SOON = timedelta(days=30)
"""How long before its end a certificate is warned of, once."""
MOST_PASSWORD_BYTES = 128
"""With the server's nonce it has to fit into one block of a 2048-bit key."""

_POLICIES: dict[str, type[security_policies.SecurityPolicy]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_STRENGTH = ("Aes128_Sha256_RsaOaep", "Basic256Sha256", "Aes256_Sha256_RsaPss")
_MODES = {"sign": ua.MessageSecurityMode.Sign, "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt}
_MODE_NAMES = {number: name for name, number in _MODES.items()}
_TOKENS = {
    ua.UserTokenType.Anonymous: "anonymous",
    ua.UserTokenType.UserName: "user name and password",
    ua.UserTokenType.Certificate: "certificate",
    ua.UserTokenType.IssuedToken: "issued token",
}

log = structlog.get_logger("opcua")
# from DEBUG on it logs requests, and so passwords; what fails is said by who calls it
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)

_warned: set[tuple[str, str]] = set()
"""Endpoint and fingerprint of certificates whose end was announced."""


@dataclass(frozen=True, slots=True)
class _Files:
    """What is read before connecting."""

    application_uri: str
    own: Identity | None = None
    user: Identity | None = None
    password: str | None = field(default=None, repr=False)
    trust: TrustList = field(default_factory=TrustList)


async def secure(client: Client, device: OpcuaDevice, state_dir: Path | None) -> None:
    """Prepare a client that has not connected yet, once; with a policy this asks the server for its endpoints.

    Files are read anew each time, so that what a person trusts or renews counts from the next attempt on. Raises
    ConnectFailed or ConfigError.
    """
    security, user = device.security, device.user
    client.name = client.description = "linegate"
    client.product_uri = PRODUCT_URI
    files = await in_daemon_thread("certificates", partial(_read, security, user, state_dir))
    client.application_uri = files.application_uri
    _log_in(client, user, files)
    if files.own is None:
        return
    endpoint = choose(await endpoints(device.endpoint, ANSWER_S), security, user)
    shown = shown_by(endpoint, device.endpoint)
    await in_daemon_thread("certificates", partial(_check, files.trust, shown, state_dir))
    _warn_of_expiry(device.endpoint, files.own.certificate, shown.certificate)
    mode = _MODES[security.mode or "sign_and_encrypt"]
    chain = list(files.own.chain)
    policy = _POLICIES[security.policy](
        shown.certificate, files.own.certificate, files.own.key, mode, host_cert_chain=chain
    )
    client.security_policy = policy
    client.uaclient.set_security(policy)
    client.certificate_validator = _same_application


async def endpoints(url: str, timeout_s: float) -> list[ua.EndpointDescription]:
    """What a server offers; nothing of it is proven. Raises ConnectFailed or ConfigError."""
    asking = Client(url, timeout_s)
    asking.uaclient.pre_request_hook = None
    await connect_socket(asking)
    try:
        await asking.send_hello()
        await asking.open_secure_channel()
        found: list[ua.EndpointDescription] = await asking.get_endpoints() or []
        await asking.close_secure_channel()
    except (*LIBRARY_ERRORS, *GARBLED) as error:
        raise explain(error, url) from error
    finally:
        asking.disconnect_socket()
    return found


def choose(
    offered: Sequence[ua.EndpointDescription], security: SecurityConfig, user: UserConfig | None
) -> ua.EndpointDescription:
    """The endpoint with exactly the policy and mode of the configuration. Raises ConfigError where there is none."""
    uri, mode = _POLICIES[security.policy].URI, _MODES[security.mode or "sign_and_encrypt"]
    for endpoint in offered:
        if (endpoint.SecurityPolicyUri, endpoint.SecurityMode) == (uri, mode) and _is_binary(endpoint):
            _check_log_in(endpoint, user)
            return endpoint
    wanted = f"{security.policy} with {_MODE_NAMES[mode]}"
    lists = ", ".join(dict.fromkeys(offer(endpoint) for endpoint in offered if _is_binary(endpoint))) or "nothing"
    remedy = "write one of these into `security`, or switch the other one on in the server"
    raise ConfigError(f"the server does not offer {wanted}; it offers {lists}", remedy)


def offer(endpoint: ua.EndpointDescription) -> str:
    """What an endpoint offers, in the configuration's words: `Basic256Sha256 with sign_and_encrypt`."""
    policy = printable(_policy(endpoint))
    mode = _MODE_NAMES.get(endpoint.SecurityMode)
    return f"{policy} with {mode}" if mode is not None else policy.lower()


def shown_by(endpoint: ua.EndpointDescription, url: str) -> Shown:
    """The certificate that an endpoint shows. Raises Refused for one that cannot be read."""
    try:
        certificate, *chain = split_chain(endpoint.ServerCertificate or b"")
    except ValueError:
        why = "the server shows no certificate, or one that cannot be read"
        raise Refused("BadCertificateInvalid", why, "have the server make its certificate anew") from None
    return Shown(certificate, chain, urlsplit(url).hostname or "", endpoint.Server.ApplicationUri or "")


def strongest(offered: Sequence[ua.EndpointDescription]) -> ua.EndpointDescription | None:
    """Of the secured endpoints that the gateway can use the one that encrypts, by the strongest policy."""
    usable = [
        one for one in offered if _is_binary(one) and one.SecurityMode in _MODE_NAMES and _policy(one) in _POLICIES
    ]
    return max(usable, key=lambda one: (one.SecurityMode, _STRENGTH.index(_policy(one))), default=None)


def as_configured(endpoint: ua.EndpointDescription, server_certificate: Path) -> str:
    """The `security:` section for a secured endpoint whose certificate is pinned."""
    pinned = json.dumps(str(server_certificate), ensure_ascii=False)
    words = f"policy: {_policy(endpoint)}, mode: {_MODE_NAMES[endpoint.SecurityMode]}, server_certificate: {pinned}"
    return f"security: {{{words}}}"


def _read(security: SecurityConfig, user: UserConfig | None, state_dir: Path | None) -> _Files:
    """Everything from disk. Blocking; raises ConfigError."""
    password = user_identity = None
    if user is not None and user.certificate is not None:
        user_identity = _named(user)
    elif user is not None and user.password is not None:
        password = user.password.resolve()
        if len(password.encode()) > MOST_PASSWORD_BYTES:
            words = f"the password in {user.password.place} is longer than {MOST_PASSWORD_BYTES} bytes"
            raise ConfigError(words, "give the user a shorter one; no key of 2048 bits encrypts more in one block")
    if not security.is_secured:
        return _Files(application_uri(state_dir), user=user_identity, password=password)
    pinned = None
    if security.server_certificate is not None:
        pinned = read_certificates(Path(security.server_certificate))[0]
    pki = state_pki(state_dir) if state_dir is not None else None
    own = _own(security, pki)
    return _Files(own.application_uri, own, user_identity, password, trust_list(pki, pinned))


def _own(security: SecurityConfig, pki: Pki | None) -> Identity:
    if security.certificate is not None:
        own = _named(security)
        if not own.application_uri:
            words = f"{security.certificate} names no application URI, without which servers refuse it"
            raise ConfigError(words, "have it issued with a URI among its alternative names")
        return own
    if pki is None:
        words = "there is no state directory for the gateway's own certificate"
        raise ConfigError(words, "name `certificate` and `private_key` in `security`")
    return own_identity(pki)


def _named(section: SecurityConfig | UserConfig) -> Identity:
    """The certificate that a section names, with its key."""
    certificate, key = Path(section.certificate or ""), Path(section.private_key or "")
    return load_identity(certificate, key, section.private_key_password)


def _check(trust: TrustList, shown: Shown, state_dir: Path | None) -> None:
    """Validate, and leave an unknown certificate where a person can find it. Blocking; raises Refused."""
    try:
        trust.check(shown)
    except Refused as refused:
        if state_dir is not None and refused.status in ("BadCertificateUntrusted", "BadCertificateChainIncomplete"):
            state_pki(state_dir).reject(shown.certificate)
        raise


def _log_in(client: Client, user: UserConfig | None, files: _Files) -> None:
    if user is None:
        return
    if files.user is not None:
        client.user_certificate, client.user_private_key = files.user.certificate, files.user.key
        client.user_certificate_chain = list(files.user.chain)
    elif user.name is not None and files.password is not None:
        client.set_user(user.name)
        client.set_password(files.password)


def _check_log_in(endpoint: ua.EndpointDescription, user: UserConfig | None) -> None:
    wanted = ua.UserTokenType.Anonymous
    if user is not None:
        wanted = ua.UserTokenType.UserName if user.certificate is None else ua.UserTokenType.Certificate
    offered = [policy.TokenType for policy in endpoint.UserIdentityTokens or ()]
    if offered and wanted not in offered:
        takes = ", ".join(dict.fromkeys(_TOKENS.get(token, str(token)) for token in offered))
        words = f"the server does not take the log-in {_TOKENS[wanted]} here; it takes {takes}"
        raise ConfigError(words, "write `user` accordingly, or allow it in the server's settings")


async def _same_application(certificate: x509.Certificate, described: ua.ApplicationDescription) -> None:
    """Over the channel, where it is proven, the server has to call itself as its certificate does."""
    check_uri(certificate, described.ApplicationUri or "")


def _warn_of_expiry(url: str, own: x509.Certificate, server: x509.Certificate) -> None:
    soon = datetime.now(UTC) + EXPIRES_SOON
    for whose, certificate in (("ours", own), ("the server's", server)):
        if certificate.not_valid_after_utc < soon and (url, fingerprint(certificate)) not in _warned:
            _warned.add((url, fingerprint(certificate)))
            remedy = "renew it on the server, and trust the new one here unless its authority is trusted"
            if whose == "ours":
                remedy = "renew it with `linegate opcua cert FILE --renew`, and trust the new one on the servers"
            log.warning(
                "certificate_expires",
                endpoint=url,
                whose=whose,
                certificate=common_name(certificate),
                on=day(certificate.not_valid_after_utc),
                remedy=remedy,
            )


def _policy(endpoint: ua.EndpointDescription) -> str:
    return str(endpoint.SecurityPolicyUri).rpartition("#")[2]


def _is_binary(endpoint: ua.EndpointDescription) -> bool:
    return str(endpoint.EndpointUrl).startswith("opc.tcp:")
