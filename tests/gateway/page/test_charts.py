"""What the page's charts compute, run by Node: time axes, what is at a time, sums of stops and losses, cycles."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.page.node import copied, run

STOPS = """
  const own = (stop, began_ms, ended_ms, reason = null) =>
    ({ stop, kind: "own", category: "unplanned_stop", began_ms, ended_ms, reason });
  const jam = { code: "17", text: "cap jam" };
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("charts"))


def test_ticks_are_on_round_times_of_the_zones_clocks_also_where_they_change(modules: Path) -> None:
    """In Berlin 2 o'clock comes twice in autumn and never in spring; Kathmandu is 5 h 45 min ahead."""
    autumn, spring, kathmandu, seconds = run(
        modules,
        'import { offsetsOf, ticksOf } from "./charts/scale.js";',
        """
        const shown = (zone, from, hours, width) => {
          const two = "2-digit", parts = { hour: two, minute: two, second: two };
          const write = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...parts });
          const view = { from: Date.parse(from), to: Date.parse(from) + hours * 3600e3 };
          return ticksOf(view, width, offsetsOf(zone)).at.map((at) => write.format(at));
        };
        return [
          shown("Europe/Berlin", "2026-10-25T00:00:00+02:00", 25, 1200),
          shown("Europe/Berlin", "2026-03-29T00:00:00+01:00", 23, 1200),
          shown("Asia/Kathmandu", "2026-11-23T00:10:00Z", 4, 500),
          shown("UTC", "2026-11-23T00:00:00.500Z", 20 / 3600, 420),
        ];
        """,
    )
    even = [f"{hour:02d}:00:00" for hour in range(0, 24, 2)]
    assert autumn[:1] + autumn[2:] == [even[0], *even[2:], "00:00:00"]
    assert autumn[1] == "02:00:00"
    assert spring == [even[0], *even[2:], "00:00:00"]
    assert kathmandu == ["06:00:00", "07:00:00", "08:00:00", "09:00:00"]
    assert seconds == ["00:00:05", "00:00:10", "00:00:15", "00:00:20"]


def test_a_zoom_keeps_what_is_under_the_finger_and_stays_inside(modules: Path) -> None:
    found = run(
        modules,
        'import { SHORTEST, moved, zoomed } from "./charts/scale.js";',
        """
        const all = { from: 0, to: 1000000 }, view = { from: 200000, to: 300000 };
        const least = zoomed(view, 1e-9, 225000, all);
        return [zoomed(view, 0.5, 225000, all), zoomed(view, 100, 225000, all), least.to - least.from === SHORTEST,
          moved(view, -999999, all), moved(view, 999999, all)];
        """,
    )
    half, whole, is_short, first, last = found
    assert half == {"from": 212500, "to": 262500}
    assert whole == {"from": 0, "to": 1000000}
    assert is_short
    assert (first, last) == ({"from": 0, "to": 100000}, {"from": 900000, "to": 1000000})


def test_planned_stops_are_told_apart_where_the_calendar_knows(modules: Path) -> None:
    found = run(
        modules,
        'import { restAt, withRests } from "./charts/resting.js";',
        """
        const rests = [[100, 200, "break"], [300, 400, "maintenance"]];
        const did = (category, began_ms) => ({ category, began_ms });
        const stop = (began_ms) => did("planned_stop", began_ms);
        const all = [stop(100), stop(200), did("production", 150), stop(399)];
        return [withRests(all, rests).map((one) => one.rest ?? null), restAt(rests, 199), restAt(rests, 250)];
        """,
    )
    assert found == [["break", None, None, "maintenance"], [100, 200, "break"], None]


def test_a_finger_finds_the_stop_that_it_means(modules: Path) -> None:
    """At 1 px a second: within a stop that one, beside stops the nearest within 12 px; one that goes on ends now."""
    found = run(
        modules,
        'import { intervalAt, stopAt } from "./charts/seek.js";',
        STOPS
        + """
        const stops = [own("a", 100000, 101000), own("b", 110000, 160000), own("c", 200000, null)];
        const at = [80000, 90000, 104000, 107000, 130000, 180000, 230000, 250000];
        const exactly = [50000, 100500, 105000].map((time) => intervalAt(stops, time, 230000)?.stop ?? null);
        return [at.map((time) => stopAt(stops, time, 230000, 0.001)?.stop ?? null), exactly];
        """,
    )
    assert found == [[None, "a", "a", "b", "b", None, "c", None], [None, "a", None]]


def test_downtime_is_that_inside_the_range_by_reason(modules: Path) -> None:
    """300 s of jam in two stops, one merged of two stretches; 60 s unsaid of one that goes on; none from before."""
    found = run(
        modules,
        'import { downtimeByReason, ranked } from "./charts/sums.js";',
        STOPS
        + """
        const merged = { ...own("b", 300000, 600000, jam), stretches: [[300000, 400000], [500000, 600000]] };
        const stops = [own("o", 0, 10000, jam), own("a", 90000, 200000, jam), merged, own("c", 940000, null)];
        const sums = downtimeByReason(stops, { from: 100000, to: 2000000 }, 1000000);
        const few = [5, 4, 2, 1].map((seconds, index) => ({ key: `${index}`, seconds, n: 1 }));
        const short = ranked(few, "seconds", 2).map(({ key, n, seconds, upTo }) => [key, n, seconds, upTo]);
        return [ranked(sums, "seconds").map(({ text, n, seconds, upTo }) => [text, n, seconds, upTo]), short];
        """,
    )
    by_reason, short = found
    assert by_reason == [["cap jam", 2, 300, pytest.approx(300 / 360)], [None, 1, 60, 1]]
    assert [row[:3] for row in short] == [["0", 1, 5], ["1", 1, 4], ["*", 2, 3]]
    assert short[-1][3] == 1


def test_losses_add_up_to_planned_time(modules: Path) -> None:
    """Of 7,200 s 200 are unknown, 6,000 run, parts worth 5,400 s made, 5,300 s good; 100 s were waited."""
    losses, none = run(
        modules,
        'import { lossesOf } from "./charts/sums.js";',
        """
        const split = { breakdowns: 350, setup: 100, minor_stops_and_speed: 300, process_defects: 50, start_up: null };
        const hour = { pbt_s: 3600, unknown_s: 100, run_s: 3000, ideal_s: 2700, ideal_good_s: 2650, losses: split };
        const unpriced = { ...hour, ideal_s: null, ideal_good_s: null };
        return [lossesOf([hour, hour, { began_ms: 0, oee: null }]), lossesOf([unpriced])];
        """,
    )
    parts = {name: losses[name] for name in ("good", "quality", "performance", "availability", "unknown")}
    assert parts == {"good": 5300, "quality": 100, "performance": 600, "availability": 1000, "unknown": 200}
    assert sum(parts.values()) == losses["pbt"] == 7200
    assert (losses["of"]["other_availability"], losses["of"]["start_up"]) == (100, None)
    assert (none["performance"], none["quality"], none["availability"]) == (None, None, 500)


def test_a_pause_in_production_is_a_gap_in_its_cycles(modules: Path) -> None:
    found = run(
        modules,
        'import { cycleColumns } from "./charts/sums.js";',
        """
        const cycle = { mean_s: 0.6, p50_s: 0.5, p95_s: 0.9, ideal_s: 0.4 };
        const minute = (at, n = 10) => ({ began_ms: at * 60000, ended_ms: (at + 1) * 60000, n, ...cycle });
        return cycleColumns([minute(0), minute(1), minute(5), minute(6, null), minute(9)], { from: 60000, to: 500000 });
        """,
    )
    assert found == [[90, 121, 330], [0.5, None, 0.5], [0.9, None, 0.9], [0.6, None, 0.6], [0.4, None, 0.4]]


HISTORY = """
  const columns = { intervals: ["interval", "began_ms", "ended_ms", "state"], production: [] };
  const head = { full: false, digest: "d", cursor: "s-1", complete: true, loading: false, since_ms: null, to_ms: 9e7 };
  const empty = { intervals: [], stops: [], kpi: {} };
  const answer = (values, filler = {}) =>
    ({ ...head, columns, line: { kpi: {} }, entries: [], machines: { filler: { ...empty, ...filler } }, ...values });
  const stop = (id, began_ms, ended_ms) => ({ stop: id, began_ms, ended_ms });
  const take = (past, from, one) => past.take(past.question(from), one);
  const names = (past) => past.machines.filler.stops.map((one) => one.stop);
"""


def test_the_history_keeps_the_last_word_of_each_and_forgets_what_is_over_a_day_old(modules: Path) -> None:
    asked, states, stops, is_more, last = run(
        modules,
        'import { Past } from "./past.js";',
        HISTORY
        + """
        const past = new Past("filler"), asked = [past.question(5000).toString()];
        const rows = [["i1", 6000, 9000, "execute"], ["i2", 9000, null, "held"]];
        const stopped = [stop("S", 9000, null), stop("T", 8000, 8500)];
        take(past, 5000, answer({ full: true }, { intervals: rows, stops: stopped }));
        asked.push(past.question(5000).toString(), past.question(4000).toString());
        const revised = [["i2", 9000, 95000000, "stopped"], ["i0", 7000, 7000, "held"]];
        const parts = [stop("S/1", 9000, 10000), stop("S/2", 10000, 95000000)];
        take(past, 5000, answer({ cursor: "s-2" }, { intervals: revised, stops: parts }));
        const stops = [names(past)];
        const states = past.machines.filler.intervals.map((one) => one.state);
        take(past, 5000, answer({ cursor: "s-3" }, { stops: [stop("S", 9000, 95000000), stop("T", 8000, 8000)] }));
        stops.push(names(past));
        take(past, 5000, answer({ to_ms: 190000000 }, { stops: [stop("U", 180000000, null)] }));
        stops.push(names(past));
        const isMore = take(past, 5000, answer({ digest: "other" }));
        asked.push(past.question(5000).toString());
        take(past, 5000, answer({ full: true, digest: "other" }, { stops: [stop("V", 189000000, null)] }));
        return [asked, states, stops, isMore, names(past)];
        """,
    )
    assert asked == [
        "from=5000&machine=filler",
        "from=5000&machine=filler&after=s-1",
        "from=4000&machine=filler",
        "from=5000&machine=filler",
    ]
    assert states == ["execute", "stopped"]
    assert stops == [["T", "S/1", "S/2"], ["S"], ["U"]]
    assert is_more, "another configuration: all of it is asked anew"
    assert last == ["V"]
