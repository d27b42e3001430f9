"""What is wrong with a flow as a whole: machines that do not exist, feed two links, or feed themselves."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.compose import Path
from gateway.config.findings import Finding
from gateway.config.flow import loop
from gateway.config.nearest import unknown_name
from gateway.config.salvage import Parsed


def flow_findings(parsed: Parsed) -> Iterator[Finding]:
    """Everything that the flow and the line's own machines have wrong."""
    machines = parsed.machine_names
    if parsed.constraint is not None and parsed.constraint not in machines:
        yield Finding(("line", "constraint"), unknown_name("machine", parsed.constraint, machines))
    for index, name in parsed.out.items():
        if name not in machines:
            yield Finding(("line", "out", index), unknown_name("machine", name, machines))
    used: dict[tuple[str, str], Path] = {}
    for position, link in parsed.flow.items():
        for key, names in (("from", link.from_), ("to", link.to)):
            for index, name in enumerate(names):
                at: Path = ("flow", position, key, index)
                if name not in machines:
                    yield Finding(at, unknown_name("machine", name, machines))
                elif (key, name) in used:
                    does = "feeds" if key == "from" else "is fed by"
                    yield Finding(at, f"{name} {does} another link already; make one link of both")
                used.setdefault((key, name), at)
    if (back := loop(parsed.flow)) is not None:
        yield Finding(("flow", back), "leads back to where its parts come from; a flow has a begin and an end")
    named = {name for _, name in used}
    for name in machines if parsed.flow else ():
        if name not in named:
            words = "no link of the flow names it: it is no part of the line's figures"
            yield Finding(("machines", name), words, note=True, key=True)
