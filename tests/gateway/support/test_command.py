"""`linegate support` as a command: secrets are everywhere, and none is in the archive, with the daemon up or down."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
import zipfile
from pathlib import Path
from typing import Any

from tests.gateway import confidential
from tests.peers.certificates import make_certificates
from tests.processes import Daemon, until

OF_THE_DAEMON = {"health.json", "metrics.txt", "line.json"}
OF_THE_BUFFER = {"buffer.json", "events.ndjson"}
ALWAYS = {"configuration.yaml", "check.txt", "versions.json", "computer.json", "files.json", "certificates.json"}


class Archive:
    """What came out of one call."""

    def __init__(self, path: Path, said: str) -> None:
        self.said = said
        self.mode = path.stat().st_mode & 0o777
        with zipfile.ZipFile(path) as archive:
            self.files = {name: archive.read(name).decode("latin-1") for name in archive.namelist()}
        self.manifest: dict[str, Any] = json.loads(self.files.pop("manifest.json"))
        self.missing = {one["what"].partition(":")[0]: one["why"] for one in self.manifest["missing"]}
        assert {one["name"]: one["size"] for one in self.manifest["members"]} == {
            name: len(text.encode("latin-1")) for name, text in self.files.items()
        }

    def json(self, name: str) -> Any:
        return json.loads(self.files[name])

    def holds_no_secret(self) -> None:
        for name, text in {**self.files, "manifest": json.dumps(self.manifest), "said": self.said}.items():
            for secret in (confidential.MARK, "gateway-3", "reader-of-values", "PRIVATE KEY", "MIIEow", "anna"):
                assert secret not in text.replace(confidential.MARK.upper(), confidential.MARK), name


async def run(one: Daemon, what: str, *arguments: str, code: int = 0) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", what, str(one.file), "--state-dir", str(one.state), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=one.environment,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == code, out.decode()
    return out.decode()


async def support(one: Daemon, target: Path, *arguments: str) -> Archive:
    return Archive(target, await run(one, "support", "--output", str(target), *arguments))


def feed(place: Path, port: int) -> Daemon:
    """A daemon's line with secrets in its configuration and its files."""
    state = place / "line-3"
    (state / "pki" / "own").mkdir(parents=True)
    make_certificates(place)
    for part in ("server.key", "server.pem"):
        with (state / "pki" / "own" / "linegate.pem").open("ab") as file:
            file.write((place / part).read_bytes())
    (state / "pki" / "own" / "key.der").write_bytes(confidential.SEED.encode())
    document = confidential.document(state, port)
    document["x-note"] = {"wifi": confidential.PASTED}
    one = Daemon(state, document, "--record", environment=confidential.environment(state))
    one.file.write_text(f"# {confidential.PASTED}\n{one.file.read_text()}")
    return one


async def test_all_that_helps_and_no_secret_with_the_daemon_up_and_down(tmp_path: Path) -> None:
    async with confidential.parrot() as port:
        one = feed(tmp_path, port)
        await one.start(ready=False)
        await until(lambda: '"uplink": "kafka"' in one.log.read_text() and one.events())
        await run(one, "mute", "--machine", "filler", "--for", "1h", "--who", "anna", "--why", "new program")
        with one.log.open("a") as log:
            log.write(f"a library says: mqtt://gateway-3:{confidential.BY_FILE}@broker Bearer {'ab' * 20}\n")
            log.write(f"a key: {(tmp_path / 'server.key').read_text()}\n")
        up = await support(one, tmp_path / "up.zip", "--log", str(one.log), "--recording")
        assert one.process is not None
        one.process.send_signal(signal.SIGTERM)
        assert await one.stop() == 0
    assert "exists" in await run(one, "support", "--output", str(tmp_path / "up.zip"), code=1)
    down = await support(one, tmp_path / "down.zip")
    for archive in (up, down):
        archive.holds_no_secret()
        assert archive.mode == 0o600
        assert archive.files.keys() >= ALWAYS | OF_THE_BUFFER
    (recording,) = up.files.keys() - ALWAYS - OF_THE_BUFFER - OF_THE_DAEMON - {"log.txt"}
    assert recording.startswith("recordings/00000001-")
    assert up.missing == {}
    assert up.json("health.json")["checks"]["uplink:nats_token"][0]["status"] == "warn"
    assert up.files["metrics.txt"].endswith("# EOF\n")
    assert up.json("line.json")["devices"]["filler_plc"]["signals"]["speed"]["quality"] == "bad"
    assert "Authorization Violation" in up.files["log.txt"]
    events = [json.loads(line) for line in up.files["events.ndjson"].splitlines()]
    (muted,) = [event for event in events if event["type"] == "linegate.machine.muted.v1"]
    assert (muted["data"]["who"], muted["data"]["why"]) == ("[redacted]", "new program")
    assert down.missing.keys() == {*OF_THE_DAEMON, "log.txt"}
    assert "no daemon listens" in down.missing["health.json"]
    assert down.json("buffer.json")["last_seq"] >= int(muted["seq"])
    assert "filler_plc" in down.files["configuration.yaml"]
    assert down.json("versions.json")["sqlite"] == sqlite3.sqlite_version
    certificates = {one["file"]: one for one in down.json("certificates.json")}
    own = tmp_path / "line-3" / "pki" / "own"
    assert "OU=Testing CA" in certificates[str(own / "linegate.pem")]["certificates"][0]["issuer"]
    assert certificates[str(own / "key.der")]["why"] == "no certificate"


async def test_of_a_file_with_problems_beside_a_daemon_that_is_stuck(tmp_path: Path) -> None:
    """And with secrets where none may be."""
    one = feed(tmp_path, 1)
    document = confidential.document(one.state, 1)
    document["uplinks"]["mqtt"] |= {"url": f"mqtt://gateway-3:{confidential.PASTED}@h", "password": confidential.PASTED}
    document["uplinks"]["kafka"] |= {"pasword": confidential.PASTED, "password": {confidential.PASTED: None}}
    document["health"]["token"] = [confidential.PASTED]
    one.file.write_text(json.dumps(document))

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_unix_server(never, one.state / "line-3.db.sock"):
        found = await support(one, tmp_path / "stuck.zip")
    found.holds_no_secret()
    assert "uplinks.kafka.pasword: is not a key here" in found.files["check.txt"]
    assert found.files.keys() == ALWAYS
    assert found.missing.keys() == {*OF_THE_DAEMON, *OF_THE_BUFFER, "log.txt"}
    assert "ended before its answer did" in found.missing["buffer.json"]


async def test_a_file_that_is_no_configuration_and_a_log_from_the_journal(tmp_path: Path) -> None:
    """journalctl is asked for the unit's instance; whatever is on the path under that name is it."""
    asked = tmp_path / "bin" / "journalctl"
    asked.parent.mkdir()
    asked.write_text('#!/bin/sh\necho "$@" https://a:hunter2@h\n')
    asked.chmod(0o755)
    one = feed(tmp_path, 1)
    one.file.write_text("a: [")
    one.environment["PATH"] = f"{asked.parent}:{one.environment['PATH']}"
    found = await support(one, tmp_path / "journal.zip")
    found.holds_no_secret()
    assert "--unit linegate@line --lines" in found.files["log.txt"]
    assert "line.yaml:1:5: this is not YAML" in found.files["check.txt"]
