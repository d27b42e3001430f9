"""What `make package` makes, installed as docs/installation.md says, and its service under a real systemd.

`make test-systemd`: one computer and one line, and what is done to them in this order.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import __version__
from tests.conftest import line_document
from tests.systemd.computer import PYTHON, Computer, computer

ROOT = Path(__file__).parents[2]
LINEGATE = "/opt/linegate/bin/linegate"
SERVICE, FILE = "linegate@line", "/etc/linegate/line.yaml"
STATE, RUNTIME, SECRETS = "/var/lib/linegate/line", "/run/linegate/line", "/etc/linegate/credentials/line"
TOKEN = "a-token-that-systemd-alone-hands-over"
DYNAMIC = range(61184, 65520)
"""Users that systemd makes (systemd.exec(5), DynamicUser=)."""
STOP_S = 45
"""The unit's TimeoutStopSec."""
ASK = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]})
try:
    print(urllib.request.urlopen(request, timeout=10).read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""


def document(port: int = 8480, **sections: Any) -> str:
    """The filler's line, whose endpoint wants what systemd keeps for it."""
    health = {"listen": f"127.0.0.1:{port}", "token": {"credential": "page_token"}}
    return json.dumps(line_document(health=health, **sections))


@pytest.fixture(scope="module")
def here() -> Iterator[Computer]:
    """A computer with the package, and a PLC beside it."""
    archives = list((ROOT / "dist").glob(f"linegate-{__version__}-*.tar.gz"))
    assert archives, "there is no archive in dist/: make package"
    with computer((ROOT / "dist", "/mnt")) as one:
        one.run("mkdir", "/tmp/archive")
        one.run("tar", "xzf", f"/mnt/{archives[0].name}", "--strip-components=1", "--directory=/tmp/archive")
        one.run("/tmp/archive/install.sh")
        plc = ("/opt/linegate/bin/python", "-m", "protocols.simulated", "--chaos=off", "--port=15020")
        one.run("systemd-run", "--quiet", "--unit=plc", *plc)
        yield one


def write(here: Computer, path: str, text: str) -> None:
    here.run("install", "-m", "0644", "/dev/stdin", path, given=text)


def ask(here: Computer, path: str, token: str = TOKEN) -> Any:
    """What the daemon answers, or the status by which it refuses."""
    return json.loads(here.run(PYTHON, "-c", ASK, f"http://127.0.0.1:8480{path}", token))


def main_process(here: Computer) -> str:
    (process,) = here.shows(SERVICE, "MainPID")
    return process


def events(here: Computer) -> list[dict[str, Any]]:
    """What the file uplink was given: one stream, and no number left out."""
    found = [json.loads(line) for line in here.run("cat", f"{STATE}/events.ndjson").splitlines()]
    numbered = {int(one["seq"]): one for one in found}  # at least once: what was under way may be there twice
    assert [*numbered] == [*range(1, len(numbered) + 1)]
    assert len({one["stream"] for one in found}) == 1
    return [*numbered.values()]


def starts(here: Computer) -> list[Any]:
    """How what ran before each start had ended."""
    of_type = [one["data"] for one in events(here) if one["type"] == "linegate.gateway.started.v1"]
    return [one["previous"] and one["previous"]["ended"] for one in of_type]


def test_is_ready_when_systemctl_says_started(here: Computer) -> None:
    write(here, "/root/line.yaml", document())
    here.run(LINEGATE, "check", "/root/line.yaml")
    here.run(LINEGATE, "install-service", "/root/line.yaml")
    here.run("install", "-m", "0600", "/dev/stdin", f"{SECRETS}/page_token", given=TOKEN)
    here.run("systemctl", "enable", "--now", SERVICE)
    assert ask(here, "/api/line")["line"]["name"] == "line-3"
    assert here.shows(SERVICE, "Type", "SubState", "NRestarts") == ["notify", "running", "0"]


def test_status_says_how_it_is(here: Computer) -> None:
    here.until(lambda: "1/1 devices, 1/1 uplinks" in here.shows(SERVICE, "StatusText")[0])
    here.until(lambda: ask(here, "/api/line")["machines"]["filler"]["state"] == "execute")
    assert 'Status: "1/1 devices, 1/1 uplinks' in here.run("systemctl", "status", "--no-pager", SERVICE)
    told = here.run("env", f"TOKEN={TOKEN}", LINEGATE, "status", "--token-env", "TOKEN", "--json")
    assert json.loads(told)["line"]["devices"]["filler_plc"]["connected"]


def test_the_token_is_what_systemd_hands_over_and_nobody_sees_it(here: Computer) -> None:
    assert ask(here, "/health", token="another") == 401
    assert ask(here, "/health")["checks"]
    place = f"/run/credentials/{SERVICE}.service/page_token"
    assert here.run("stat", "--format=%a", place, f"{SECRETS}/page_token").split() == ["400", "600"]
    assert TOKEN not in here.journal(SERVICE) + here.run("systemctl", "show", SERVICE)


def test_its_user_is_made_for_it_and_may_do_little(here: Computer) -> None:
    status = here.run("cat", f"/proc/{main_process(here)}/status")
    (user,) = re.findall(r"^Uid:\t(\d+)\t\1\t\1\t\1$", status, re.MULTILINE)
    assert int(user) in DYNAMIC
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in status
    owners = here.run("stat", "--dereference", "--format=%u %a", STATE, RUNTIME, f"{RUNTIME}/control.sock")
    assert owners.splitlines() == [f"{user} 700", f"{user} 700", f"{user} 600"]


def test_reload_takes_a_good_file_and_refuses_a_bad_one(here: Computer) -> None:
    process, before = main_process(here), ask(here, "/api/line")["configuration"]
    write(here, FILE, document(trends={"filler_plc.speed": {"every": "1min"}}))
    here.run("systemctl", "reload", SERVICE)
    applied = ask(here, "/api/line")["configuration"]
    assert applied != before
    write(here, FILE, document(machines={"filler": {"ideal": "no time at all"}}))
    assert here.tried("systemctl", "reload", SERVICE).returncode != 0
    assert "machines.filler.ideal" in here.journal(SERVICE)
    assert ask(here, "/api/line")["configuration"] == applied
    assert [main_process(here), *here.shows(SERVICE, "SubState", "NRestarts")] == [process, "running", "0"]
    write(here, FILE, document())
    here.run("systemctl", "kill", "--kill-who=main", "--signal=HUP", SERVICE)
    here.until(lambda: ask(here, "/api/line")["configuration"] == before)
    here.until(lambda: sum(one["type"] == "linegate.config.applied.v1" for one in events(here)) == 2)


def test_a_daemon_that_hangs_is_replaced_and_goes_on_where_it_was(here: Computer) -> None:
    here.run("mkdir", "--parents", f"/etc/systemd/system/{SERVICE}.service.d")
    write(here, f"/etc/systemd/system/{SERVICE}.service.d/60-own.conf", "[Service]\nWatchdogSec=4\n")
    here.run("systemctl", "daemon-reload")
    here.run("systemctl", "restart", SERVICE)
    here.until(lambda: starts(here) == [None, "clean"])
    process = main_process(here)
    here.run("kill", "-STOP", process)
    here.until(lambda: here.shows(SERVICE, "NRestarts", "SubState") == ["1", "running"])
    assert main_process(here) != process
    said = here.journal(SERVICE)
    assert "Watchdog timeout (limit 4s)!" in said
    assert "Fatal Python error: Aborted" in said  # and where it hung
    here.until(lambda: starts(here) == [None, "clean", "unclean"])


def test_stops_in_time_and_with_nothing_left_to_do(here: Computer) -> None:
    begun = time.monotonic()
    here.run("systemctl", "stop", SERVICE)
    assert time.monotonic() - begun < STOP_S
    assert here.shows(SERVICE, "ActiveState", "Result", "ExecMainStatus") == ["inactive", "success", "0"]
    assert events(here)[-1]["type"] == "linegate.gateway.stopped.v1"
    assert not here.tried("pgrep", "--full", "linegate run").stdout


def test_a_wrong_configuration_is_not_tried_again_and_again(here: Computer) -> None:
    write(here, FILE, document(machines={"filler": {"ideal": "no time at all"}}))
    assert here.tried("systemctl", "start", SERVICE).returncode == 1
    assert here.shows(SERVICE, "ActiveState", "SubState", "ExecMainStatus") == ["failed", "failed", "2"]
    assert "machines.filler.ideal" in here.run("journalctl", "--unit", SERVICE, "--lines=20", "--output=cat")
    write(here, FILE, document())
    here.run("systemctl", "start", SERVICE)  # `failed` holds nobody who mends it


def test_what_dies_is_started_again_and_never_given_up(here: Computer) -> None:
    here.run("kill", "-KILL", main_process(here))
    here.until(lambda: here.shows(SERVICE, "NRestarts", "SubState") == ["1", "running"])
    pause, most, within = here.shows(SERVICE, "RestartUSec", "StartLimitBurst", "StartLimitIntervalUSec")
    assert [pause, most, within] == ["5s", "20", "1min"]  # of which systemd itself starts no more than 12


def test_a_line_with_serial_ports_runs_beside_it(here: Computer) -> None:
    serial = {"protocol": "modbus_rtu", "serial": {"path": "/dev/ttyUSB0"}, "signals": {"on": {"address": "coil:0"}}}
    line = {**line_document()["line"], "name": "line-4"}
    write(here, "/root/other.yaml", document(8481, line=line, devices={"drive": serial}, machines={}))
    here.run(LINEGATE, "install-service", "/root/other.yaml")
    here.run("install", "-m", "0600", "/dev/stdin", "/etc/linegate/credentials/other/page_token", given=TOKEN)
    here.run("systemctl", "start", "linegate@other")
    here.until(lambda: "/dev/ttyUSB0" in here.journal("linegate@other"))  # which nobody has plugged in
    groups = here.run("grep", "^Groups:", f"/proc/{here.shows('linegate@other', 'MainPID')[0]}/status").split()
    assert here.run("getent", "group", "dialout").split(":")[2] in groups
    users = here.run("stat", "--dereference", "--format=%u", STATE, "/var/lib/linegate/other").split()
    assert len({*users, "0"}) == 3  # neither's files are the other's


def test_each_night_a_backup_beside_the_running_daemon(here: Computer) -> None:
    here.run("systemctl", "enable", "--now", "linegate-backup@line.timer")
    (following,) = here.shows("linegate-backup@line.timer", "NextElapseUSecRealtime")
    assert re.search(r" 0[23]:\d\d:\d\d ", following)
    here.run("systemctl", "start", "linegate-backup@line.service")
    (archive,) = here.run("find", "/var/backups/linegate", "-type", "f").split()
    assert here.run("stat", "--format=%U %a", archive) == "root 600"
    here.run(LINEGATE, "restore", archive, "--state-dir", "/root/state", "--config-dir", "/root/etc")
    assert here.run("cat", "/root/etc/line.yaml") == here.run("cat", FILE)


def test_upgraded_it_is_the_same_line(here: Computer) -> None:
    before = starts(here)
    here.run("/tmp/archive/install.sh")
    here.run("systemctl", "restart", "linegate@*")
    here.until(lambda: starts(here) == [*before, "clean"])
    assert here.shows("linegate@other", "SubState") == ["running"]


def test_taken_away_it_leaves_nothing(here: Computer) -> None:
    own = f"/etc/systemd/system/{SERVICE}.service.d/60-own.conf"
    here.run(LINEGATE, "uninstall-service", "line", "--data", "--yes")
    assert here.tried("test", "-e", own).returncode == 0, "what a person wrote is the person's"
    here.run("rm", "-r", str(Path(own).parent))
    assert here.shows("linegate@other", "SubState") == ["running"]
    here.run(LINEGATE, "uninstall-service", "--data", "--yes")
    assert not here.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "linegate*", "linegate-backup*")
    assert not here.run("find", "/etc", "/var/lib", "/run", "-name", "*linegate*", "-o", "-name", "lg-*")
    assert here.run("ls", "/var/backups") == "linegate"  # the archives: who wants them gone says so
    assert not here.tried("pgrep", "--full", "/opt/linegate/bin/linegate").stdout
