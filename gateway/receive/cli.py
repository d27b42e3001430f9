"""`linegate receive` on the command line: its options, and no import of what it does before it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from gateway.cli_options import DURATION, JSON

EXAMPLES = """\b
Examples:
  linegate receive mqtt://broker.example/acme/berlin/filling/line-3/#
  linegate receive mqtts://broker.example --user mes --password-file /etc/mes/password --state mes.state
  linegate receive http://0.0.0.0:8080/events --token-env MES_TOKEN --write events.ndjson
  linegate receive file:///var/lib/linegate/line-3/events.ndjson --for 5s
  linegate receive mqtt://127.0.0.1 --json --count 100 | jq -c 'select(.event) | .event.data'
"""


@click.command(short_help="Receive events, and prove that none is missing.", epilog=EXAMPLES)
@click.argument("url")
@click.option("--for", "seconds", type=DURATION, help="End after this time (60s, 1h); by default run until Ctrl-C.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N new events, or a batch more.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Go on following where this file says, and keep it; the broker then keeps what comes meanwhile.",
)
@click.option("--write", type=click.Path(path_type=Path, dir_okay=False), help="Append new events to this file.")
@JSON
@click.option("--user", metavar="NAME", help="Who logs in; http: who may send.")
@click.option("--password-env", metavar="NAME", help="The environment variable that has the password.")
@click.option("--password-file", type=click.Path(path_type=Path), help="The file that has the password.")
@click.option("--token-env", metavar="NAME", help="http, nats: the environment variable that has the token.")
@click.option("--token-file", type=click.Path(path_type=Path), help="http, nats: the file that has the token.")
@click.option("--ca", metavar="FILE", help="TLS: the authority to trust, PEM; http: only its clients may send.")
@click.option("--certificate", metavar="FILE", help="TLS: our certificate, PEM.")
@click.option("--private-key", metavar="FILE", help="TLS: our key, PEM.")
@click.option("--name", help="How the broker knows this consumer again; by default made from --state.")
@click.option(
    "--from",
    "begin",
    type=click.Choice(["oldest", "now"]),
    default="oldest",
    show_default=True,
    help="file, nats, kafka: where to begin.",
)
@click.option("--mqtt", type=click.Choice(["5", "3.1.1"]), default="5", show_default=True, help="mqtt: the version.")
@click.option(
    "--sasl",
    type=click.Choice(["scram-sha-512", "scram-sha-256", "plain"]),
    default="scram-sha-512",
    show_default=True,
    help="kafka: how user and password are shown.",
)
def receive(url: str, **given: Any) -> None:
    """Receive events from URL, show them, drop duplicates, and prove by their chain that none is missing.

    URL is mqtt://HOST/TOPIC (mqtts://) to subscribe, nats://HOST/STREAM (tls://) to read a JetStream stream,
    kafka://HOST/TOPIC (kafkas://) to read a topic, http://ADDRESS:PORT/PATH (https://) to listen for posts, or
    file:///DIR/FILE to follow a file uplink's files. Exit code 1 says that something is missing which no gateway
    explained. Whoever writes a consumer of his own begins with a copy of gateway/receive/follower.py.
    """
    from gateway.receive.options import receive_with

    sys.exit(receive_with(url, given))
