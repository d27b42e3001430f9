"""Machines that are known by the names of their signals: what is proposed for them, and what is left to a person."""

from __future__ import annotations

from typing import Any

from protocols.discovery import FoundSignal, ProposedMachine
from protocols.recognise import recognise
from protocols.types import WireType


def found(path: str, type_: WireType = "int32", value: str = "6", **address: Any) -> FoundSignal:
    place = tuple(path.split("/"))
    return FoundSignal("_".join(place).lower().replace(".", "_"), place, address or {"tag": path}, type_, value)


def machines(*signals: FoundSignal) -> list[ProposedMachine]:
    return list(recognise(signals, "plc", "plant"))


def test_packtags_in_folders() -> None:
    (machine,) = machines(
        found("Capper/Status/StateCurrent"),
        found("Capper/Admin/ProdProcessedCount", "uint32", "4711"),
        found("Capper/Admin/ProdDefectiveCount", "uint16", "11"),
        found("Capper/Admin/StopReason", "int32", "0"),
        found("Capper/Admin/MachDesignSpeed", "float32", "120"),
    )
    assert machine.name == "capper"
    assert machine.settings == {
        "states": [
            {
                "state": state,
                "when": f"plc.capper_status_statecurrent == {number}",
                "reason": {"signal": "plc.capper_admin_stopreason"},
            }
            for state, number in (("aborted", 9), ("held", 11))
        ],
        "packml_state": "plc.capper_status_statecurrent",
        "parts": {"total": "plc.capper_admin_prodprocessedcount", "scrap": "plc.capper_admin_proddefectivecount"},
    }
    assert any("ideal: 120/min" in note for note in machine.notes)


def test_packtags_within_one_name_and_counts_in_structures() -> None:
    (machine,) = machines(
        found("Line/Capper.Status.StateCurrent", value="6"),
        found("Line/Capper.Admin.ProdProcessedCount[0]/ID"),
        found("Line/Capper.Admin.ProdProcessedCount[0]/Count"),
        found("Line/Capper.Admin.ProdProcessedCount[0]/AccCount"),
    )
    assert (machine.name, machine.place) == ("capper", ("Line", "Capper"))
    assert machine.settings["parts"]["total"].endswith("acccount")
    assert "states" not in machine.settings


def test_two_machines_are_two() -> None:
    names = [one.name for one in machines(found("A/Status/StateCurrent"), found("B/Status/StateCurrent"))]
    assert names == ["a", "b"]


def test_a_state_that_is_none_of_the_numbering_is_said() -> None:
    (machine,) = machines(found("Capper/Status/StateCurrent", value="128"))
    assert any("StateCurrent is 128 now" in note for note in machine.notes)


def test_counts_that_can_be_reset_are_said() -> None:
    (machine,) = machines(found("C/Status/StateCurrent"), found("C/Admin/ProdProcessedCount[0]/Count"))
    assert any("AccCount" in note for note in machine.notes)


def test_weihenstephan_counts_packages_first_and_names_the_rest() -> None:
    (machine,) = machines(
        found("Filler/OperatingStates/WS_Cur_State", "uint32", "128"),
        found("Filler/Counters/WS_Tot_Crates", "uint32", "1"),
        found("Filler/Counters/WS_Tot_Packages", "uint32", "2"),
        found("Filler/Counters/WS_Bad_Packages", "uint32", "3"),
        found("Filler/MeasuredValues/WS_Cur_Mach_Spd", "float32", "3"),
    )
    assert machine.settings == {
        "packml_state": {"signal": "plc.filler_operatingstates_ws_cur_state", "numbering": "weihenstephan"},
        "parts": {
            "total": "plc.filler_counters_ws_tot_packages",
            "scrap": "plc.filler_counters_ws_bad_packages",
        },
    }
    assert any("WS_Tot_Crates" in note for note in machine.notes)


def test_what_only_looks_alike_is_no_machine() -> None:
    assert machines(found("Speed"), found("Capper/Admin/ProdProcessedCount"), found("WS_Tot_Bottles")) == []
