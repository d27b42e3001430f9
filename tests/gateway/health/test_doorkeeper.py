"""Who is let in, as whom, and for how long a name is locked after wrong PINs."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest

from gateway.health.answers import Refusal
from gateway.health.doorkeeper import (
    FORGOTTEN_S,
    FREE,
    LOCK_S,
    LONGEST_LOCK_S,
    MOST_ADDRESSES,
    Doorkeeper,
    Keys,
    Visitor,
)
from gateway.health.guard import MOST_BYTES
from tests.gateway.health.viewing import basic

TOKEN = "a long secret of the plant"
PINS: dict[str, Any] = {
    "anna": ("4711", "operator"),
    "ben": ("ä-1899", "supervisor"),
    "clara": (None, "operator"),
    "wall": ("long-and-typed-once", "viewer"),
}
HERE, THERE = "10.0.0.7", "10.0.0.66"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def keeper(token: str | None = TOKEN, pins: dict[str, Any] | None = None) -> tuple[Doorkeeper, Clock]:
    clock = Clock()
    return Doorkeeper(Keys(token, PINS if pins is None else pins), clock), clock


def refusal(door: Doorkeeper, authorization: str, remote: str = HERE) -> Refusal:
    with pytest.raises(Refusal) as found:
        door.admit(authorization, remote)
    assert found.value.remedy
    return found.value


@pytest.mark.parametrize(
    ("authorization", "visitor"),
    [
        (f"Bearer {TOKEN}", Visitor(None, "token")),
        (f"bearer  {TOKEN} ", Visitor(None, "token")),
        (basic("", TOKEN), Visitor(None, "token")),
        (basic("anna", TOKEN), Visitor(None, "token")),
        (basic("anna", "4711"), Visitor("anna", "operator")),
        (basic("wall", "long-and-typed-once"), Visitor("wall", "viewer")),
        (basic("ben", "ä-1899").replace("Basic", "bAsIc"), Visitor("ben", "supervisor")),
    ],
)
def test_who_it_is(authorization: str, visitor: Visitor) -> None:
    assert keeper()[0].admit(authorization, HERE) == visitor


@pytest.mark.parametrize(
    "authorization",
    [
        "", "Bearer", "Bearer ", "Bearer x", f"Digest {TOKEN}", TOKEN, f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x",
        "Basic", "Basic ====", "Basic \xff", f"Basic {TOKEN}", basic("anna", ""), basic("anna", "4712"), basic("", ""),
        basic("ANNA", "4711"), basic("clara", ""), basic("nobody", "4711"), basic("anna:4711", "4711"),
        "Basic " + base64.b64encode(b"anna\xff:4711").decode(), "Bearer \udcff",
    ],
)  # fmt: skip
def test_who_it_is_not(authorization: str) -> None:
    assert refusal(keeper()[0], authorization).status == 401


def test_who_brings_nothing_is_asked_and_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    assert "wants its token" in refusal(keeper()[0], "").why
    assert "sign_in_refused" not in "".join(capsys.readouterr())


def test_on_loopback_without_keys_nobody_needs_any_and_a_wrong_one_is_said() -> None:
    nobody, _ = keeper(None, {})
    assert nobody.admit("", HERE) == nobody.admit("Bearer of something else", HERE) == Visitor(None, "local")
    pins, _ = keeper(None)
    assert pins.admit("", HERE) == Visitor(None, "local")
    assert pins.admit(basic("anna", "4711"), HERE) == Visitor("anna", "operator")
    assert refusal(pins, basic("anna", "4712")).status == 401
    assert refusal(pins, "Bearer 4711").status == 401


def guessed(door: Doorkeeper, remote: str) -> int:
    """How many wrong PINs of anna's are looked at from there until she is locked there."""
    guesses = 0
    while refusal(door, basic("anna", "0000"), remote).status == 401:
        guesses += 1
    return guesses


def test_a_name_is_locked_for_longer_and_longer() -> None:
    door, clock = keeper()
    for _ in range(FREE):
        assert refusal(door, basic("anna", "0000")).status == 401
    seconds = LOCK_S
    for _ in range(12):
        locked = refusal(door, basic("anna", "4711"), THERE)
        assert (locked.status, locked.headers) == (429, {"Retry-After": f"{seconds:.0f}"})
        clock.now += seconds - 0.001
        assert refusal(door, basic("anna", "4711")).status == 429
        clock.now += 0.002
        assert refusal(door, basic("anna", "0000")).status == 401, "one more try, which doubles it"
        seconds = min(2 * seconds, LONGEST_LOCK_S)
    assert seconds == LONGEST_LOCK_S
    assert door.admit(basic("ben", "ä-1899"), HERE).name == "ben", "others are not"
    assert door.admit(basic("anna", TOKEN), HERE).role == "token"
    clock.now += LONGEST_LOCK_S + 0.001
    assert door.admit(basic("anna", "4711"), HERE).name == "anna"


def test_who_guesses_elsewhere_locks_nobody_out_where_she_enters() -> None:
    door, clock = keeper()
    assert door.admit(basic("anna", "4711"), HERE).name == "anna"
    assert guessed(door, THERE) == FREE
    assert door.admit(basic("anna", "4711"), HERE).name == "anna"
    assert refusal(door, basic("anna", "4711"), "10.0.0.9").status == 429, "all other addresses share one lock"
    clock.now += FORGOTTEN_S + 1
    assert guessed(door, THERE) == FREE


def test_who_guesses_where_she_enters_locks_her_there() -> None:
    door, clock = keeper()
    for _ in range(FREE - 1):
        assert refusal(door, basic("anna", "0000")).status == 401
    assert door.admit(basic("anna", "4711"), HERE).name == "anna", "her own wrong ones are forgiven"
    assert guessed(door, HERE) == FREE
    assert refusal(door, basic("anna", "4711"), HERE).status == 429
    assert guessed(door, THERE) == FREE
    clock.now += LOCK_S + 1
    assert door.admit(basic("anna", "4711"), HERE).name == "anna"


def test_guesses_from_many_addresses_are_counted_together() -> None:
    door, _ = keeper()
    places = [f"10.1.0.{number}" for number in range(FREE + 1)]
    assert [refusal(door, basic("anna", "0000"), place).status for place in places] == [401] * FREE + [429]


def test_many_addresses_take_bounded_memory() -> None:
    door, clock = keeper()
    for number in range(1000):
        place = f"10.1.{number // 250}.{number % 250}"
        clock.now += LONGEST_LOCK_S + 1
        assert refusal(door, basic("anna", "0000"), place).status == 401
        refusal(door, basic(f"nobody-{number}", "0000"), HERE)
        clock.now += LONGEST_LOCK_S + 1
        assert door.admit(basic("ben", "ä-1899"), place).name == "ben"
    anna, ben = door._locks["anna"], door._locks["ben"]
    assert sum(anna._shared.wrong.values()) == 1000
    assert len(anna._shared.wrong) <= MOST_ADDRESSES + 1
    assert len(ben._own) == MOST_ADDRESSES
    assert door._locks.keys() == PINS.keys()


def test_keys_are_compared_in_constant_time_and_kept_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """One comparison of digests for a wrong token, and one more for a name, whether there is such a name or not."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def compare(given: bytes, kept: bytes) -> bool:
        compared.append((given, kept))
        return real(given, kept)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    door, _ = keeper()
    for authorization in ("Bearer x", basic("anna", "47110000000000"), basic("nobody", "4")):
        refusal(door, authorization)
        assert len(compared) == 2
        assert {len(digest) for pair in compared for digest in pair} == {64}
        compared.clear()
    assert TOKEN not in str(vars(door))
    assert "4711" not in str(vars(door))


def test_keys_that_were_replaced() -> None:
    door, _ = keeper()
    door.renew(Keys("another", {**PINS, "anna": ("1234", "supervisor")}))
    assert door.admit(basic("anna", "1234"), HERE) == Visitor("anna", "supervisor")
    assert refusal(door, basic("anna", "4711")).status == refusal(door, f"Bearer {TOKEN}").status == 401


def test_a_name_that_nobody_has_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """It may be a PIN in the wrong field."""
    door, _ = keeper()
    refusal(door, basic("4711", "anna"))
    refusal(door, basic("anna", "0815"))
    said = "".join(capsys.readouterr())
    assert "sign_in_refused" in said
    assert HERE in said
    assert "anna" in said
    assert "4711" not in said
    assert "0815" not in said


def test_bound_of_a_body_is_room_enough_for_a_note() -> None:
    assert len(json.dumps({"note": "ä" * 2000})) < MOST_BYTES
