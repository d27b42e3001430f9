"""Trusting an OPC UA server: shows who it says to be, asks, and pins its certificate (`linegate discover --trust`)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from protocols.driver import LinkError
from protocols.opcua.introduction import introduced, pin
from protocols.opcua.pki import state_pki

GOOD = 0
TROUBLE = 1


async def trust_server(
    url: str, state_dir: Path, ask: Callable[[str], bool] | None, timeout_s: float = 5.0, out: TextIO | None = None
) -> int:
    """Show a server's certificate and put it into `pki/trusted` if `ask` says so; None is a yes. The exit code.

    There is no other trust on first use: a certificate is pinned here, by a person, or not at all.
    """
    out = sys.stdout if out is None else out
    try:
        introduction = await introduced(url, timeout_s)
        trouble = introduction.trouble
        if trouble is None or trouble.status != "BadCertificateInvalid":
            out.writelines(f"{what:<22} {value}\n" for what, value in introduction.lines())
        if trouble is not None:
            out.write(f"\nit would be refused though trusted: {trouble.why}; {trouble.remedy}\n")
            return TROUBLE
        out.write("\nCompare the fingerprint or the thumbprint with what the server itself shows.\n")
        if ask is not None and not ask(f"Trust {introduction.fingerprint}?"):
            out.write("not trusted; nothing was changed\n")
            return TROUBLE
        path, section = await pin(introduction, state_pki(state_dir))
    except LinkError as error:
        out.write(f"{url}: {error.why}; {error.remedy}\n")
        return TROUBLE
    out.write(f"trusted: {path}\nin the device's section: {section}\n")
    return GOOD
