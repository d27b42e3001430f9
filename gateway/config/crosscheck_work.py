"""What is wrong with products and jobs as a whole: signals that lead nowhere, or that cannot say what they should."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.compose import Path
from gateway.config.findings import Finding
from gateway.config.nearest import unknown_name, unknown_signal
from gateway.config.salvage import Parsed

_IS_NO = {
    ("products", "signal"): {"bool": "a truth value, and no product"},
    ("jobs", "signal"): {"bool": "a truth value, and no job"},
    ("jobs", "target"): {"bool": "a truth value; a target is a number", "text": "a text; a target is a number"},
    ("jobs", "due"): {"bool": "a truth value; a due date is a text or a number"},
}
_NO_IDEAL = {"bool": "a truth value; an ideal is a number", "text": "a text; an ideal is a number"}


def work_findings(parsed: Parsed) -> Iterator[Finding]:
    """Everything that products, jobs and ideals have wrong."""
    for at, signal in parsed.work.items():
        yield from _signal(at, signal, _IS_NO[str(at[0]), str(at[1])], parsed)
    for owner, machine in parsed.machines.items():
        if machine.ideal is not None:
            yield from _signal(("machines", owner, "ideal", "signal"), machine.ideal, _NO_IDEAL, parsed)
    numbers = {f"{key}" for key in parsed.products if isinstance(key, int)}
    for key, machines in parsed.products.items():
        if isinstance(key, str) and key in numbers:
            words = f"the product {key} is in the list already, by its number; keep one of them"
            yield Finding(("products", "list", key), words, key=True)
        for name in machines:
            if name not in parsed.machine_names:
                words = unknown_name("machine", name, parsed.machine_names)
                yield Finding(("products", "list", key, "ideal", name), words, key=True)


def _signal(at: Path, signal: str, wrong: dict[str, str], parsed: Parsed) -> Iterator[Finding]:
    if signal not in parsed.types:
        yield Finding(at, unknown_signal(signal, parsed.types))
    elif (words := wrong.get(parsed.types.get(signal) or "")) is not None:
        yield Finding(at, f"{signal} is {words}")
