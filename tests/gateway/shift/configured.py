"""The simulated line as its gateway knows it."""

from __future__ import annotations

from typing import Any

from gateway.config.model import Config
from tests.conftest import line_document
from tests.gateway.shift.day import IDEAL

CALENDAR = {
    "shifts": {"early": {"days": ["mon"], "from": "06:00", "to": "14:00", "breaks": [{"from": "10:00", "to": "10:15"}]}}
}


def line_of_three() -> Config:
    """Rules of three kinds: with a speed, without, and beside a PackML state."""
    flags = {name: {"address": f"coil:{n}"} for n, name in enumerate(("running", "starved", "blocked", "setup"))}
    fault = {"fault": {"address": "holding:0", "type": "uint16"}}
    filler = {"bottles": _counter(2, "uint16"), "rejects": _counter(3, "uint16"), "speed": _counter(4, "float32")}
    filler["order"] = _counter(6, "uint16")
    capper = {"caps": _counter(2, "uint32"), "bad_caps": _counter(4, "uint16")}
    labeler = {"state": _counter(0, "uint16"), "mode": _counter(1, "uint16"), "backed_up": {"address": "coil:0"}}
    labels = {"labels": _counter(2, "uint32"), "rejected": _counter(4, "uint16")}
    return Config.model_validate(
        line_document(
            devices={
                "filler_plc": _device({**flags, **fault, **filler}),
                "capper_plc": _device({**flags, **fault, **capper}),
                "labeler_plc": _device({**labeler, **labels}),
            },
            machines={
                "filler": _machine("filler", "filler_plc.running and filler_plc.speed > 5", "bottles", "rejects"),
                "capper": _machine("capper", "capper_plc.running", "caps", "bad_caps"),
                "labeler": LABELER,
            },
            reasons={17: "cap jam", 23: "low pressure", 42: {"text": "no air", "failure": False}},
            calendar=CALENDAR,
            jobs={"signal": "filler_plc.order"},
        )
    )


def _counter(register: int, type_: str) -> dict[str, Any]:
    return {"address": f"holding:{register}", "type": type_}


def _device(signals: dict[str, Any]) -> dict[str, Any]:
    return {"protocol": "modbus_tcp", "host": "127.0.0.1", "scan_interval": "250ms", "signals": signals}


def _machine(name: str, runs: str, total: str, scrap: str) -> dict[str, Any]:
    plc = f"{name}_plc"
    return {
        "ideal": f"{IDEAL[name]}ms",
        "parts": {"total": f"{plc}.{total}", "scrap": f"{plc}.{scrap}"},
        "states": [
            {"category": "setup", "when": f"{plc}.setup"},
            {"state": "held", "when": f"{plc}.fault != 0", "reason": {"signal": f"{plc}.fault"}},
            {"state": "suspended", "cause": "starved", "when": f"{plc}.starved"},
            {"state": "suspended", "cause": "blocked", "when": f"{plc}.blocked"},
            {"state": "execute", "when": runs},
            {"state": "stopped"},
        ],
    }


LABELER: dict[str, Any] = {
    "ideal": f"{IDEAL['labeler']}ms",
    "parts": {"good": "labeler_plc.labels", "scrap": "labeler_plc.rejected"},
    "packml_state": "labeler_plc.state",
    "states": [
        {"category": "setup", "when": "labeler_plc.mode == 4"},
        {"state": "suspended", "cause": "blocked", "when": "labeler_plc.backed_up"},
        {"state": "suspended", "cause": "starved", "when": "labeler_plc.state == 5"},
    ],
}
