"""`linegate opcua cert`: makes and shows the certificates by which OPC UA servers know the gateway."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from gateway.check import load_or_exit
from protocols.driver import ConfigError
from protocols.opcua.certificate import KeySize, create_own, load_identity, own_certificate_files, own_identity
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.facts import described
from protocols.opcua.pki import read_certificates, state_pki

GOOD = 0
TROUBLE = 1
WRONG = 2


def certificate_of_file(
    file: Path,
    state_dir: Path,
    device: str | None = None,
    *,
    show: bool = False,
    renew: bool = False,
    key_size: KeySize = 2048,
    out: TextIO | None = None,
) -> int:
    """Show the certificate of each OPC UA device of a configuration, or of one; the exit code.

    The gateway's own is made if there is none, unless `show`; with `renew` it is replaced.
    """
    out = sys.stdout if out is None else out
    devices = {name: one for name, one in load_or_exit(file).devices.items() if isinstance(one, OpcuaDevice)}
    if device is not None and device not in devices:
        there = ", ".join(devices) or "none"
        sys.stderr.write(f"{file}: no OPC UA device is called {device}; there is {there}\n")
        return WRONG
    chosen = devices if device is None else {device: devices[device]}
    named = {name: one for name, one in chosen.items() if one.security.certificate is not None}
    try:
        if len(named) < len(chosen) or not chosen:
            out.writelines(_own({k: v for k, v in chosen.items() if k not in named}, state_dir, show, renew, key_size))
        elif renew:
            raise ConfigError(_IS_NAMED, "have it renewed where it was issued, and replace its files")
        for name, one in named.items():
            out.writelines(_named(name, one))
    except ConfigError as error:
        out.write(f"{error.why}; {error.remedy}\n")
        return TROUBLE
    return GOOD


_IS_NAMED = "the configuration names the certificate, so that it is not the gateway's to renew"
_NEXT = """
Next, on each server: trust this certificate. Copy the file into the server's list of trusted clients; or let the
gateway connect once, and move it there from the rejected ones. Compare the thumbprint with the one above.
"""


def _own(
    devices: Mapping[str, OpcuaDevice], state_dir: Path, show: bool, renew: bool, key_size: KeySize
) -> Iterator[str]:
    pki = state_pki(state_dir)
    both, public = own_certificate_files(pki)
    if show and not both.exists():
        remedy = f"run this without --show; or name its state directory with --state-dir ({state_dir} was looked at)"
        raise ConfigError("the gateway has no certificate yet", remedy)
    was_there = both.exists()
    identity = create_own(pki, key_size) if renew or not was_there else own_identity(pki)
    if renew or not was_there:
        yield f"{'replaced' if was_there else 'made'} {both} (key and certificate: keep it to yourself)\n\n"
    yield f"{'certificate':<22} {public.absolute()}\n"
    yield from (f"{what:<22} {value}\n" for what, value in described(identity.certificate))
    yield from _used(devices)
    yield _NEXT
    if was_there and renew:
        yield "The old certificate is gone: each server has to trust the new one before the gateway connects again.\n"


def _named(name: str, device: OpcuaDevice) -> Iterator[str]:
    security = device.security
    certificate, key = Path(security.certificate or ""), Path(security.private_key or "")
    yield f"\n{'certificate':<22} {certificate.absolute()}\n"
    yield from (f"{what:<22} {value}\n" for what, value in described(read_certificates(certificate)[0]))
    yield from _used({name: device})
    load_identity(certificate, key, security.private_key_password)  # says what is wrong with them


def _used(devices: Mapping[str, OpcuaDevice]) -> Iterator[str]:
    for name, device in devices.items():
        if device.security.is_secured:
            how = f"{device.security.policy} with {device.security.mode or 'sign_and_encrypt'}"
        else:
            how = "not used: security policy none"
        yield f"{'for':<22} {name}, {device.endpoint}: {how}\n"
