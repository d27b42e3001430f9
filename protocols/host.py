"""The host of a device on a network, as a configuration names it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

_HOST_WITH_PORT = re.compile(r"([^:\s]+):([0-9]+)")


def _check_host(host: str) -> str:
    if match := _HOST_WITH_PORT.fullmatch(host):
        raise ValueError(f"a host has no port; write `host: {match[1]}` and `port: {match[2]}`")
    if re.search(r"[\s/@]", host):
        raise ValueError("a host is a name or an IP address alone, without a scheme, a user or a path")
    return host


Host = Annotated[str, Field(min_length=1, max_length=253, examples=["192.168.0.10"]), AfterValidator(_check_host)]
