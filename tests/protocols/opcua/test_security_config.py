"""Sections `security` and `user`: what belongs together, and when a password would be seen by others."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from protocols.opcua.security_config import SecurityConfig, UserConfig, exposed_password

PASSWORD = {"credential": "capper_password"}
KEY = {"certificate": "own.pem", "private_key": "own.key"}


@pytest.mark.parametrize(
    "given",
    [
        {"policy": "none"},
        {"policy": "Basic256Sha256"},
        {
            "policy": "Basic256Sha256",
            "mode": "sign_and_encrypt",
            "certificate": None,
            "private_key": None,
            "server_certificate": None,
        },
        {"policy": "Aes128_Sha256_RsaOaep", "mode": "sign", "server_certificate": "capper.der"},
        {"policy": "Aes256_Sha256_RsaPss", **KEY, "private_key_password": PASSWORD},
    ],
)
def test_accepted(given: dict[str, Any]) -> None:
    security = SecurityConfig.model_validate(given)
    assert security.is_secured is (given["policy"] != "none")
    assert security.encrypts is (security.is_secured and given.get("mode") != "sign")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Field required"),
        ({"policy": "Basic256"}, "'none', 'Basic256Sha256'"),
        ({"policy": "none", "mode": "sign"}, "policy none secures nothing"),
        ({"policy": "none", "server_certificate": "capper.der"}, "leave this out, or name a policy"),
        ({"policy": "Basic256Sha256", "certificate": "own.pem"}, "certificate and private_key belong together"),
        ({"policy": "Basic256Sha256", "private_key_password": PASSWORD}, "a password without a private_key"),
    ],
)
def test_refused_security(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SecurityConfig.model_validate(given)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "a user is a name with a password, or a certificate"),
        ({"name": "gateway", "password": PASSWORD, **KEY}, "give one of both"),
        ({"name": "gateway"}, "without `user` the gateway is anonymous"),
        ({**KEY, "password": PASSWORD}, "that of a key is `private_key_password`"),
        ({"certificate": "user.pem"}, "certificate and private_key belong together"),
    ],
)
def test_refused_user(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        UserConfig.model_validate(given)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("security", "user", "exposed"),
    [
        ({"policy": "none"}, {"password": PASSWORD}, "security policy none"),
        ({"policy": "Basic256Sha256", "mode": "sign"}, {"password": PASSWORD}, "security mode sign"),
        ({"policy": "none"}, {"password": PASSWORD, "allow_plain_password": True}, None),
        ({"policy": "Basic256Sha256"}, {"password": PASSWORD}, None),
    ],
)
def test_a_password_is_seen_by_nobody_unless_the_file_says_so(
    security: dict[str, Any], user: dict[str, Any], exposed: str | None
) -> None:
    problem = exposed_password(
        SecurityConfig.model_validate(security), UserConfig.model_validate({"name": "gateway", **user})
    )
    if exposed is None:
        assert problem is None
    else:
        assert problem is not None
        assert f"over {exposed} others can read the password" in problem.message()
        assert "`allow_plain_password: true`" in problem.message()
        assert problem.context is not None
        assert problem.context["at"] == ("user", "password")


def test_a_certificate_or_nobody_exposes_no_password() -> None:
    none = SecurityConfig.model_validate({"policy": "none"})
    assert exposed_password(none, None) is None
    assert exposed_password(none, UserConfig.model_validate(KEY)) is None
