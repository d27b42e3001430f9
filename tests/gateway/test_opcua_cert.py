"""`linegate opcua cert`: makes, shows and replaces certificates, and says what to do with them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.opcua_cert import certificate_of_file
from protocols.opcua.certificate import own_identity
from protocols.opcua.facts import fingerprint, thumbprint
from protocols.opcua.pki import state_pki
from tests.protocols.opcua.authority import application

LINE = """
line: {enterprise: acme, site: berlin, area: filling, name: line-3}
devices:
  capper_plc:
    protocol: opcua
    endpoint: opc.tcp://127.0.0.1:14840/plant
    security: {policy: Basic256Sha256}
    signals: {state: {node: "i=2259"}}
  labeler_plc:
    protocol: opcua
    endpoint: opc.tcp://127.0.0.1:14841
    signals: {state: {node: "i=2259"}}
  packer_plc:
    protocol: opcua
    endpoint: opc.tcp://127.0.0.1:14842
    security: {policy: Aes256_Sha256_RsaPss, mode: sign, certificate: packer.pem, private_key: packer.key}
    signals: {state: {node: "i=2259"}}
  filler_plc: {protocol: modbus_tcp, host: 127.0.0.1, signals: {running: {address: "coil:0"}}}
buffer: {path: line-3.db}
"""
STATE = Path("line-3")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    packer = application("packer")
    Path("packer.pem").write_bytes(packer.pem)
    Path("packer.key").write_bytes(packer.key_pem())
    Path("line.yaml").write_text(LINE)
    return Path("line.yaml")


def certificate(
    file: Path, device: str | None = "capper_plc", *, show: bool = False, renew: bool = False
) -> tuple[int, str]:
    out = io.StringIO()
    code = certificate_of_file(file, STATE, device, show=show, renew=renew, out=out)
    return code, out.getvalue()


def test_it_is_made_shown_and_explained(file: Path) -> None:
    code, said = certificate(file, None)
    own = own_identity(state_pki(STATE)).certificate
    assert code == 0
    assert said.startswith("made line-3/pki/own/linegate.pem (key and certificate: keep it to yourself)\n")
    assert fingerprint(own) in said
    assert thumbprint(own) in said
    assert f"{STATE.absolute()}/pki/own/linegate.der" in said
    assert ":linegate:line-3\n" in said
    assert "capper_plc, opc.tcp://127.0.0.1:14840/plant: Basic256Sha256 with sign_and_encrypt\n" in said
    assert "labeler_plc, opc.tcp://127.0.0.1:14841: not used: security policy none\n" in said
    assert "Next, on each server: trust this certificate." in said
    assert "packer.pem\n" in said
    assert "packer_plc, opc.tcp://127.0.0.1:14842: Aes256_Sha256_RsaPss with sign\n" in said
    assert "filler_plc" not in said
    assert "PRIVATE" not in said


def test_showing_makes_nothing(file: Path) -> None:
    code, said = certificate(file, show=True)
    assert code == 1
    assert said.startswith("the gateway has no certificate yet; run this without --show; or name its state directory")
    assert not STATE.exists()
    own = own_identity(state_pki(STATE)).certificate
    code, said = certificate(file, show=True)
    assert code == 0
    assert fingerprint(own) in said
    assert "made" not in said


def test_it_is_replaced_only_when_asked(file: Path) -> None:
    _, first = certificate(file)
    _, again = certificate(file)
    assert first.partition("\n\n")[2] == again
    code, renewed = certificate(file, renew=True)
    assert code == 0
    assert renewed.startswith("replaced line-3/pki/own/linegate.pem")
    assert "each server has to trust the new one" in renewed
    new = own_identity(state_pki(STATE)).certificate
    assert fingerprint(new) in renewed
    assert fingerprint(new) not in first


def test_a_certificate_that_the_file_names_is_not_ours_to_renew(file: Path) -> None:
    code, said = certificate(file, "packer_plc")
    assert code == 0
    assert not STATE.exists()
    code, said = certificate(file, "packer_plc", renew=True)
    assert code == 1
    assert said.startswith("the configuration names the certificate, so that it is not the gateway's to renew; ")


def test_files_that_do_not_belong_together_are_said(file: Path) -> None:
    Path("packer.key").write_bytes(application("another").key_pem())
    code, said = certificate(file, "packer_plc")
    assert code == 1
    assert "packer.key is not the key of packer.pem" in said


def test_a_device_that_is_not_there(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert certificate(file, "filler_plc")[0] == 2
    said = capsys.readouterr().err
    assert said == ("line.yaml: no OPC UA device is called filler_plc; there is capper_plc, labeler_plc, packer_plc\n")


def test_the_command(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner().invoke
    done = run(main, ["opcua", "cert", "line.yaml", "--state-dir", "there", "--key-size", "3072"])
    assert done.exit_code == 0, done.output
    assert "RSA, 3072 bits" in done.output
    monkeypatch.setenv("STATE_DIRECTORY", "there:elsewhere")
    done = run(main, ["opcua", "cert", "line.yaml", "--device", "capper_plc", "--show"])
    assert done.exit_code == 0, done.output
    assert "there/pki/own/linegate.der" in done.output
    done = run(main, ["opcua", "cert", "line.yaml", "--show", "--renew"])
    assert done.exit_code == 2
    assert "give one of them" in done.output
