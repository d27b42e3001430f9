"""The command line: `linegate`. Exit codes: 0 good, 1 it ran and found trouble, 2 wrong use or configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import orjson

from gateway import cli_daemon, cli_host
from gateway.cli_buffer import buffer
from gateway.cli_options import DURATION, FILE, STATE_DIR
from gateway.receive.cli import receive


class Commands(click.Group):
    """All of them: what a person may not read or write is said in words, for the first thing forgotten is sudo."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run one; ends the process with 2 where a file or socket is another user's."""
        try:
            return super().invoke(ctx)
        except PermissionError as error:
            place = f"{error.filename}: " if error.filename else ""
            click.echo(f"{place}{error.strerror}; run the command as the daemon's user, or as root (sudo)", err=True)
            sys.exit(2)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with `linegate demo`, then `linegate check line.yaml` and `linegate run line.yaml`.",
)
@click.version_option(package_name="linegate", prog_name="linegate")
def main() -> None:
    """Edge gateway of one production line: PLCs in, proven machine states, counts and KPIs out."""


@main.command(
    short_help="Run the daemon of one line.",
    epilog="Example: linegate run line-3.yaml --state-dir /var/lib/linegate/line-3",
)
@FILE
@click.option("--for", "seconds", type=DURATION, help="End after this time (60s, 1h); by default run for ever.")
@STATE_DIR
@click.option("--record", is_flag=True, help="Keep all that is read for `linegate replay`, as `recording:` does.")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING"]), default="INFO", show_default=True)
def run(file: Path, seconds: float | None, state_dir: Path, record: bool, log_level: str) -> None:
    """Run the daemon for the line that FILE describes."""
    import faulthandler
    import gc

    gc.disable()  # until all that stays is there (`gateway.garbage`): a fifth of a start is to look through it in vain
    from gateway.log import configure_logging
    from gateway.selftest import decoders_or_exit

    decoders_or_exit()
    from gateway.config.apart import load_apart

    config = load_apart(file)
    configure_logging(log_level)
    faulthandler.enable()  # the watchdog's SIGABRT then says where it hung
    from gateway.service import run_daemon

    sys.exit(run_daemon(file, config, state_dir, seconds, record=record))


CHECK_EXAMPLES = """\b
Examples:
  linegate check line-3.yaml
  linegate check line-3.yaml --connect --state-dir /var/lib/linegate/line-3
"""


@main.command(short_help="Validate a file; --connect tries devices and uplinks.", epilog=CHECK_EXAMPLES)
@FILE
@click.option("--connect", is_flag=True, help="Then try every device and uplink: a line each, with what to do.")
@click.option("--within", "seconds", type=DURATION, default=30.0, help="How long each may take; 30s.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding, for programs.")
@STATE_DIR
def check(file: Path, connect: bool, seconds: float, as_json: bool, state_dir: Path) -> None:
    """Validate FILE: every problem with its line and column, what was expected, and the nearest right name.

    With --connect devices are read once, as `linegate read` does, and uplinks connect and send nothing, so that a
    daemon may run beside it. Certificates and what a device is known by are those of the state directory.
    """
    from gateway.check import check_connections, check_file

    if connect:
        sys.exit(check_connections(file, state_dir, seconds, as_json=as_json))
    sys.exit(check_file(file, as_json=as_json))


READ_EXAMPLES = """\b
Examples:
  linegate read line-3.yaml
  linegate read line-3.yaml --only filler_plc --orders
  linegate read line-3.yaml --only 'filler_plc.level*' --watch
  linegate read line-3.yaml --json | jq -c 'select(.quality != "good")'
"""


@main.command(short_help="Show every signal as the PLCs say it now.", epilog=READ_EXAMPLES)
@FILE
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C; in a pipe, a line for each change.")
@click.option("--only", multiple=True, metavar="GLOB", help="Devices, or device.signal, like this. May be repeated.")
@click.option("--orders", is_flag=True, help="Modbus: show each value in every order of its registers and bytes.")
@click.option("--within", type=DURATION, default=30.0, help="How long to wait for what does not answer; 30s.")
@STATE_DIR
@click.option("--json", "as_json", is_flag=True, help="One JSON object a signal, for programs.")
def read(file: Path, state_dir: Path, as_json: bool, **wanted: Any) -> None:
    """Connect to the devices of FILE and show every signal: value, quality, round trip, and why it is not good.

    It reads as the daemon does, over connections of its own: a device that takes one connection only is better looked
    at through its daemon, with `linegate status --signals`.
    """
    from gateway.reading import Wanted, read_file

    asked = Wanted(wanted["only"], wanted["orders"], wanted["within"])
    sys.exit(read_file(file, state_dir, asked, watch=wanted["watch"], as_json=as_json))


@main.command(
    short_help="What will be asked of each PLC, and how much.",
    epilog="Example: linegate plan line-3.yaml --json | jq '.endpoints[].duty'",
)
@FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every figure, for programs.")
def plan(file: Path, as_json: bool) -> None:
    """Show what FILE asks of each PLC: requests, registers, bytes, milliseconds a scan, duty of each line."""
    from gateway.plan.command import plan_file

    sys.exit(plan_file(file, as_json))


REPLAY_EXAMPLES = """\b
Examples:
  linegate replay line-3.yaml /var/lib/linegate/line-3/recordings > events.ndjson
  linegate replay line-3.yaml monday.ndjson | jq -c 'select(.type == "linegate.machine.stop.v1") | .data'
  linegate replay new-rules.yaml recordings --against events.ndjson --against events.ndjson.00000001
"""


@main.command(short_help="Run a recording through the rules again.", epilog=REPLAY_EXAMPLES)
@FILE
@click.argument("recording", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--against",
    multiple=True,
    metavar="EVENTS",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Events as they were sent, one JSON object a line: how states, stops, parts and KPIs differ. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="With --against: one JSON object with every figure.")
def replay(file: Path, recording: tuple[Path, ...], against: tuple[Path, ...], as_json: bool) -> None:
    """Run RECORDING through the rules of FILE: print the events, or how they differ from those that were sent.

    RECORDING is a directory or files that `linegate run --record` wrote, or plain JSON lines that anyone can write.
    """
    from gateway.replay.command import replay_file

    if as_json and not against:
        raise click.UsageError("--json is the form of a comparison; events are JSON lines already")
    sys.exit(replay_file(file, recording, against, as_json=as_json))


EXPLAIN_EXAMPLES = """\b
Examples:
  linegate explain line-3.yaml 0192f0c4-6b7e-4d0e-9a52-6c1a8d2f4f10-1841 --state-dir /var/lib/linegate/line-3
  linegate explain line-3.yaml 1841
  grep filler-stop-1795327200250 events.ndjson | linegate explain line-3.yaml -
"""


@main.command(short_help="Why an event says what it says.", epilog=EXPLAIN_EXAMPLES)
@FILE
@click.argument("event")
@STATE_DIR
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def explain(file: Path, event: str, state_dir: Path, as_json: bool) -> None:
    """Say in words why EVENT says what it says: rule, signals, category, stop, revisions, formulas.

    EVENT is an event's id or seq, looked up in the daemon that runs or in its buffer; or a file with it as JSON, or -.
    Of several events, one a line, the last is explained, and the others are taken to belong to it.
    """
    from gateway.explain.command import explain_event

    sys.exit(explain_event(file, event, state_dir, as_json=as_json))


DISCOVER_EXAMPLES = """\b
Examples:
  linegate discover opc.tcp://192.168.0.10:4840
  linegate discover opc.tcp://192.168.0.10:4840 --match '*Speed*' --match '*Status/*' > capper.yaml
  linegate discover opc.tcp://192.168.0.10:4840 --trust
  linegate discover eip://192.168.0.20/2 --match 'Program:Main/*'
  linegate discover modbus://192.168.0.30 --range 0-499
  linegate discover modbus://192.168.0.30 --units 1-16 --range 100-199 --match 'input_*'
  linegate discover 'rtu:/dev/ttyS0?baud=19200&parity=none' --units 1-4 --rate 5
  linegate discover opc.tcp://192.168.0.10:4840 --policy Basic256Sha256 --user gateway --password-env CAPPER
"""


@main.command(short_help="Look into a device; print the configuration for it.", epilog=DISCOVER_EXAMPLES)
@click.argument("url")
@click.option("--name", metavar="NAME", help="The device's name in the proposal; by default the one that it has.")
@click.option(
    "--match", multiple=True, metavar="GLOB", help="Only what has a name like this on its path; with slashes, a path."
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=300, show_default=True, help="Most signals.")
@click.option("--depth", type=click.IntRange(1, 100), help="Levels to look below the root, or members below a tag.")
@click.option("--arrays", is_flag=True, help="Propose the first element of each array.")
@click.option("--rate", type=click.FloatRange(0.1, 1000), default=20, show_default=True, help="Requests a second.")
@click.option(
    "--units", metavar="LIST", help="Modbus: the units to look at, 1-16 or 1,5,255; by default the one there."
)
@click.option("--range", metavar="FIRST-LAST", help="Modbus: the addresses to try, as on the wire; 0-999 by default.")
@click.option("--root", metavar="NODE", help="OPC UA: begin at this node (nsu=URI;s=..., or a path /Objects/...).")
@click.option(
    "--policy",
    "--security",
    type=click.Choice(["none", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]),
    default="none",
    show_default=True,
    help="OPC UA: the security policy.",
)
@click.option("--mode", type=click.Choice(["sign", "sign_and_encrypt"]), help="OPC UA: sign_and_encrypt by default.")
@click.option("--server-certificate", metavar="PATH", help="OPC UA: no other certificate of the server is accepted.")
@click.option("--user", metavar="NAME", help="OPC UA: the user; the password is asked for.")
@click.option("--password-env", metavar="NAME", help="The environment variable that has the password.")
@click.option("--allow-plain-password", is_flag=True, help="Send the password where others can read it.")
@click.option("--trust", is_flag=True, help="OPC UA: show the server's certificate, ask, and trust it from then on.")
@click.option("--yes", is_flag=True, help="With --trust: ask nobody.")
@STATE_DIR
@click.option("--json", "as_json", is_flag=True, help="One JSON object with everything, for programs.")
def discover(url: str, **given: Any) -> None:
    """Look at the device at URL and print the part of a configuration that reads it: devices, and known machines.

    URL is opc.tcp://HOST:PORT/PATH for an OPC UA server, and eip://HOST or eip://HOST/SLOT for a Logix controller, or
    eip://HOST/backplane/2/ip/10.1.1.5/SLOT behind others; modbus://HOST or modbus://HOST/UNIT for a Modbus
    TCP device, and rtu:/dev/ttyS0?baud=19200 for a serial line. The device is only read, slowly, over one session;
    what will be asked is said first. What is printed passes `linegate check` once it is pasted into a file.
    """
    from gateway.discover.options import discover_with

    sys.exit(discover_with(url, given))


main.add_command(receive)


@main.command(
    short_help="JSON Schema of the configuration, or of events.",
    epilog="Example: linegate schema > linegate.schema.json, for the editor's completion.",
)
@click.argument("what", type=click.Choice(["config", "events"]), default="config")
def schema(what: str) -> None:
    """Print the JSON Schema of the configuration, or of the events' data by type."""
    if what == "events":
        from gateway.schemas.catalogue import event_schemas

        document: dict[str, Any] = event_schemas()
    else:
        from gateway.config.schema import json_schema

        document = json_schema()
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


CERT_EXAMPLE = "Example: linegate opcua cert /etc/linegate/line-3.yaml --state-dir /var/lib/linegate/line-3"


@main.group(epilog=CERT_EXAMPLE)
def opcua() -> None:
    """OPC UA: the gateway's certificate."""


@opcua.command(short_help="Show the certificate, and make it first if there is none.", epilog=CERT_EXAMPLE)
@FILE
@STATE_DIR
@click.option("--device", metavar="NAME", help="This device's certificate alone.")
@click.option("--show", is_flag=True, help="Make none.")
@click.option("--renew", is_flag=True, help="Make a new key and certificate in the place of the gateway's own.")
@click.option("--key-size", type=click.Choice(["2048", "3072"]), default="2048", show_default=True, help="Bits.")
def cert(file: Path, state_dir: Path, device: str | None, show: bool, renew: bool, key_size: str) -> None:
    """Show the certificate by which the servers of FILE know the gateway; make it first if there is none."""
    from gateway.opcua_cert import certificate_of_file

    if show and renew:
        raise click.UsageError("--show changes nothing and --renew does: give one of them")
    size: Any = int(key_size)
    sys.exit(certificate_of_file(file, state_dir, device, show=show, renew=renew, key_size=size))


@main.command(
    short_help="A simulated line, the daemon, and where to look.", epilog="Example: linegate demo --for 2min --speed 10"
)
@click.option("--for", "seconds", type=DURATION, help="End after this time; by default run until Ctrl-C.")
@click.option("--speed", type=click.FloatRange(0.1, 100), default=10, show_default=True, help="Times real time.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same day.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep configuration and events here.")
def demo(seconds: float | None, speed: float, seed: int, keep: Path | None) -> None:
    """A simulated line behind real Modbus TCP, OPC UA and EtherNet/IP servers, the daemon, and where to look."""
    from gateway.demo import run_demo

    sys.exit(run_demo(seconds, speed, seed, keep))


for command in (buffer, *cli_daemon.COMMANDS, *cli_host.COMMANDS):
    main.add_command(command)

if __name__ == "__main__":
    main()
