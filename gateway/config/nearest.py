"""The right name that a wrong one was probably meant to be."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import SequenceMatcher

_ALIKE = 0.7
_LISTED = 8


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name most like `word`, whatever its case; None where none is much like it."""
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(word.lower()[:100])
    best, score = None, _ALIKE
    for name in names:
        matcher.set_seq1(name.lower()[:100])
        if matcher.real_quick_ratio() > score and matcher.quick_ratio() > score and (ratio := matcher.ratio()) > score:
            best, score = name, ratio
    return best


def nearest_signal(reference: str, signals: Collection[str]) -> str | None:
    """The `device.signal` most like a reference: of the same device, of the likeliest device, or of the same name."""
    device, _, signal = reference.partition(".")
    devices = sorted({name.partition(".")[0] for name in signals})
    home = device if device in devices else nearest(device, devices)
    if home is not None:
        own = [name.partition(".")[2] for name in signals if name.startswith(f"{home}.")]
        if (near := signal if signal in own else nearest(signal, own)) is not None:
            return f"{home}.{near}"
    same = sorted(name for name in signals if name.partition(".")[2] == signal)
    return same[0] if same else None


def did_you_mean(word: str | None) -> str:
    """The question with which a message ends, or nothing."""
    return f"; did you mean `{word}`?" if word is not None else ""


def listed(names: Iterable[str]) -> str:
    """The first names of a list, for a message."""
    several = list(names)
    return ", ".join(several[:_LISTED]) + (", ..." if len(several) > _LISTED else "")


def unknown_name(what: str, name: str, known: Collection[str]) -> str:
    """What to say of a machine, a shift or the like that is not among those that there are."""
    near = nearest(name, known)
    return f"{name} is not a {what}" + (did_you_mean(near) if near else f"; there are {listed(known)}" if known else "")


def unknown_signal(reference: str, signals: Collection[str]) -> str:
    """What to say of a `device.signal` that is not among the signals."""
    device = reference.partition(".")[0]
    own = [name for name in signals if name.startswith(f"{device}.")]
    near = nearest_signal(reference, signals)
    if own:
        return f"{reference} is not a signal{did_you_mean(near) if near else f'; {device} has {listed(own)}'}"
    devices = dict.fromkeys(name.partition(".")[0] for name in signals)
    return f"{device} is not a device{did_you_mean(near) if near else f'; the devices are {listed(devices)}'}"
