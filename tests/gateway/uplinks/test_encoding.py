"""Bytes of events: both formats, both shapes, alone and in batches."""

from __future__ import annotations

from typing import Any

import msgpack
import orjson
import pytest

from gateway.config.uplinks import ShapedUplink
from gateway.schemas.catalogue import event_schemas
from gateway.uplinks.encoding import FLAT, Encoding, Unencodable
from gateway.uplinks.uplink import UplinkContext

DATA = {"state": "held", "total": 2**64 - 1, "reason": None, "because": {"plc.fault": {"value": 17}}}


def encoding(context: UplinkContext, **settings: str) -> Encoding:
    return Encoding(context.envelope, ShapedUplink.model_validate(settings))


def read(format: str, body: bytes) -> Any:
    return orjson.loads(body) if format == "json" else msgpack.unpackb(body)


@pytest.mark.parametrize("format", ["json", "msgpack"])
def test_both_shapes_say_the_same(context: UplinkContext, make_events: Any, format: str) -> None:
    (event,) = make_events(7, data=orjson.dumps(DATA))
    cloud = read(format, encoding(context, format=format).event(event))
    flat = read(format, encoding(context, format=format, shape="flat").event(event))
    assert cloud == {**context.envelope.attributes(event), "data": DATA}
    assert flat == {**{name: cloud[name] for name in FLAT}, **DATA}
    assert (flat["type"], flat["seq"], flat["prevseq"]) == ("linegate.machine.state.v1", "7", "6")


@pytest.mark.parametrize("shape", ["cloudevents", "flat"])
@pytest.mark.parametrize("format", ["json", "msgpack"])
def test_a_batch_is_a_list_of_them(context: UplinkContext, make_events: Any, format: str, shape: str) -> None:
    one = encoding(context, format=format, shape=shape)
    written = [one.event(event) for event in make_events(*range(1, 70), data=orjson.dumps(DATA))]
    assert read(format, one.batch(written)) == [read(format, event) for event in written]
    assert read(format, one.batch(written[:1])) == [read(format, written[0])]


@pytest.mark.parametrize(
    ("settings", "types"),
    [
        ({}, ("application/cloudevents+json", "application/cloudevents-batch+json")),
        ({"format": "msgpack"}, ("application/cloudevents+msgpack", "application/cloudevents-batch+msgpack")),
        ({"shape": "flat"}, ("application/json", "application/json")),
        ({"shape": "flat", "format": "msgpack"}, ("application/vnd.msgpack", "application/vnd.msgpack")),
    ],
)
def test_content_types(context: UplinkContext, settings: dict[str, str], types: tuple[str, str]) -> None:
    one = encoding(context, **settings)
    assert (one.content_type, one.batch_content_type) == types


def test_no_event_has_fields_of_the_names_that_flat_puts_beside_them() -> None:
    for name, schema in event_schemas().items():
        assert not set(FLAT) & set(schema["properties"]), name


@pytest.mark.parametrize("settings", [{"format": "msgpack"}, {"shape": "flat"}])
def test_what_cannot_be_read_cannot_be_written(
    context: UplinkContext, make_events: Any, settings: dict[str, str]
) -> None:
    with pytest.raises(Unencodable, match="cannot be written"):
        encoding(context, **settings).event(*make_events(1, data=b"{broken"))


def test_a_time_beyond_the_calendar(context: UplinkContext, make_events: Any) -> None:
    (event,) = make_events(1)
    event = event._replace(time=10**18)
    with pytest.raises(Unencodable, match="cannot be written"):
        encoding(context).event(event)
