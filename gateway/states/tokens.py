"""The words of a rule's condition: only these reach the parser, everything else is refused with its column."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from gateway.config.nearest import did_you_mean, listed, nearest

ALLOWED = (
    "signals (device.signal), numbers, texts, true, false, and, or, not, "
    "== != < <= > >=, + - * / // %, & | ^ ~ << >>, parentheses"
)
LARGEST_INTEGER = 2**127 - 1
"""Whole numbers stay within 128 bits, so that no condition can be made to compute for long."""

Constant: TypeAlias = bool | int | float | str

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<text>'[^'\\\r\n]*'|"[^"\\\r\n]*")
      | (?P<signal>[A-Za-z_]\w*\.[A-Za-z_]\w*)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<number>0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<operator>==|!=|<=|>=|<<|>>|//|[-+*/%&|^~<>()])""",
    re.VERBOSE | re.ASCII,
)
_INSTEAD = {
    "=": "write == to compare",
    "&&": "write `and`",
    "||": "write `or`",
    "<>": "write !=",
    "!": "write `not`, or != to compare",
    "**": "powers are not allowed",
    "#": "comments are not allowed within a condition",
    "'": "this text is never closed, or holds a backslash",
    '"': "this text is never closed, or holds a backslash",
}
_WORDS: dict[str, Constant] = {"true": True, "false": False, "True": True, "False": False}


class ExpressionProblem(ValueError):
    """A condition that cannot be used: why, and the zero-based column in its text. `more` are further ones in it."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.more: tuple[ExpressionProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """One operand, by the column where it begins."""

    column: int
    text: str
    signal: bool
    value: Constant = False
    """Of a literal."""


_JOINERS = ("and", "or", "not")


def tokenize(text: str, signals: Collection[str]) -> tuple[str, dict[int, Token]]:
    """A skeleton of the same length for Python's parser, and the operands that stand in it, by column.

    In the skeleton every operand is a run of underscores or ones, so that names which are Python's keywords
    (`qc.pass`) are names, and nothing but operators is left to Python. Raises ExpressionProblem.
    """
    skeleton: list[str] = []
    operands: dict[int, Token] = {}
    operand_before, last, last_kind, last_column = False, "", "", 0
    for kind, column, word in _split(text):
        if kind == "space":
            skeleton.append(" " * len(word))
            continue
        if column == last_column + len(last) and "text" in (kind, last_kind) and (word in _JOINERS or last in _JOINERS):
            raise ExpressionProblem(f"a space is missing between {last} and {word}", column)
        last, last_kind, last_column = word, kind, column
        if kind == "operator" or word in _JOINERS:
            skeleton.append(word)
            operand_before = word == ")"
            continue
        if operand_before and not (kind == "word" and word.lower() in ("and", "or", "not", "is")):
            raise ExpressionProblem(f"an operator such as ==, and, or is missing before {word}", column)
        operand_before = True
        operands[column] = _operand(kind, column, word, signals)
        skeleton.append(("1" if kind == "number" else "_") * len(word))
    if not operands:
        raise ExpressionProblem("a condition must not be empty; leave `when` out where a rule always holds", 0)
    if not operand_before:
        raise ExpressionProblem(f"something is missing behind {last}", last_column)
    return "".join(skeleton), operands


def _split(text: str) -> Iterator[tuple[str, int, str]]:
    column = 0
    while column < len(text):
        match = _TOKEN.match(text, column)
        two = text[column : column + 2]
        if match is None or two in ("**", "&&", "||", "<>"):
            character = text[column]
            instead = _INSTEAD.get(two) or _INSTEAD.get(character) or f"allowed are {ALLOWED}"
            found = two if two in _INSTEAD else character
            found = found if found.isprintable() else ascii(found)
            raise ExpressionProblem(f"{found} is not allowed: {instead}", column)
        yield str(match.lastgroup), column, match[0]
        column = match.end()


def _operand(kind: str, column: int, word: str, signals: Collection[str]) -> Token:
    if kind == "signal":
        return Token(column, word, True)
    if kind == "text":
        return Token(column, word, False, word[1:-1])
    if kind == "number":
        return Token(column, word, False, _number(word, column))
    if word in _WORDS:
        return Token(column, word, False, _WORDS[word])
    raise ExpressionProblem(_why_not(word, signals), column)


def _number(word: str, column: int) -> int | float:
    if word[:2].lower() in ("0x", "0b", "0o"):
        number: int | float = int(word, 0)
    else:
        number = int(word) if word.isdigit() else float(word)  # `when` is too short for int() to refuse
    if number > LARGEST_INTEGER if isinstance(number, int) else math.isinf(number):
        raise ExpressionProblem("this number is too large", column)
    return number


def _why_not(word: str, signals: Collection[str]) -> str:
    if word.lower() in ("and", "or", "not", "true", "false"):
        return f"{word} is written `{word.lower()}`"
    if word == "is":
        return "is is not allowed: write == to compare"
    if word.lower() in ("none", "null", "nan"):
        return f"{word} is not allowed: a bad signal makes the condition unknown by itself"
    owners = sorted(name for name in signals if name.partition(".")[2] == word)
    if owners:
        return f"{word} is not a signal: write it with its device; did you mean `{owners[0]}`?"
    own = [name for name in signals if name.startswith(f"{word}.")]
    if own:
        return f"{word} is a device, not a signal: it has {listed(own)}"
    near = nearest(word, sorted({name.partition(".")[2] for name in signals}))
    if near is None:
        return f"{word} is not a signal: write device.signal; allowed are {ALLOWED}"
    meant = next(name for name in signals if name.partition(".")[2] == near)
    return f"{word} is not a signal: write device.signal{did_you_mean(meant)}"
