"""Conditions: what is accepted, what is refused and where, and three-valued logic against tables of its own."""

from __future__ import annotations

import itertools
import operator
import timeit
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.states.expression import ExpressionError, ExpressionProblem, ExprType, compile_expression
from protocols.model import Value

TYPES: dict[str, ExprType | None] = {
    "plc.run": "bool",
    "plc.jam": "bool",
    "plc.fault": "int",
    "plc.word": "int",
    "plc.speed": "float",
    "plc.text": "text",
    "plc.any": None,
    "qc.pass": "bool",
    "in.is": "int",
}


def value_of(text: str, **values: Value) -> bool | None:
    """The condition's value; a name's double underscore stands for the dot."""
    expression = compile_expression(text, TYPES)
    given_ = {name.replace("__", "."): value for name, value in values.items()}
    return expression.evaluate({**dict.fromkeys(TYPES), **given_})


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("plc.run", {"plc__run": True}, True),
        ("not plc.run", {"plc__run": False}, True),
        ("qc.pass and in.is == 3", {"qc__pass": True, "in__is": 3}, True),
        ("plc.fault != 0", {"plc__fault": 0}, False),
        ("5 < plc.speed < 10", {"plc__speed": 7.5}, True),
        ("5 < plc.speed < 10", {"plc__speed": 10.0}, False),
        ("10 > plc.speed > 5 == plc.fault", {"plc__speed": 7.5, "plc__fault": 5}, True),
        ("plc.word & 4 != 0", {"plc__word": 6}, True),
        ("plc.word & 0b100 == 0x4 or plc.word == 0o7", {"plc__word": 7}, True),
        ("plc.word >> 3 & 1 == 1", {"plc__word": 8}, True),
        ("1 << 63 == plc.word", {"plc__word": 2**63}, True),
        ("~plc.word == -1", {"plc__word": 0}, True),
        ("plc.word ^ 3 | 8 == 9", {"plc__word": 2}, True),
        ("plc.fault // 10 == 4 and plc.fault % 10 == 2", {"plc__fault": 42}, True),
        ("plc.fault / 4 == 10.5", {"plc__fault": 42}, True),
        ("-plc.speed * 2 + 1 <= -3.0e0", {"plc__speed": 2.0}, True),
        ("plc.text == 'ABC'", {"plc__text": "ABC"}, True),
        ('plc.text != "it\'s # not a comment"', {"plc__text": ""}, True),
        ("plc.run == true and plc.jam != True", {"plc__run": True, "plc__jam": False}, True),
        ("  plc.run\n  and\tplc.jam ", {"plc__run": True, "plc__jam": True}, True),
        ("plc.word == 18446744073709551615", {"plc__word": 2**64 - 1}, True),
        ("plc.word == 9007199254740993", {"plc__word": 9007199254740992}, False),
        ("true", {}, True),
        ("false or False", {}, False),
        ("plc.any > 5", {"plc__any": 6}, True),
        ("plc.any == 'x'", {"plc__any": "x"}, True),
        ("plc.any", {"plc__any": True}, True),
        ("plc.any + 1 & 3 == 1", {"plc__any": 4}, True),
    ],
)
def test_values(text: str, values: dict[str, Value], expected: bool) -> None:
    assert value_of(text, **values) is expected


@pytest.mark.parametrize(
    "text",
    [
        "plc.run",
        "not plc.run",
        "plc.fault > 5",
        "plc.fault + 1 == 1",
        "-plc.fault == 1",
        "~plc.word & 1 == 1",
        "1 << plc.word == 1",
        "1 / plc.fault > 0",
        "plc.text == ''",
        "1 < plc.speed < 2",
        "0 < 1 < plc.speed",
        "plc.any",
        "plc.any + 1 > 0",
        "plc.any & 1 == 0",
        "plc.any == 1",
        "plc.run and true",
        "true and plc.run",
        "plc.run or false",
        "plc.run and plc.jam",
        "plc.run == plc.run",
    ],
)
def test_what_is_unknown_with_every_signal_unknown(text: str) -> None:
    assert value_of(text) is None


@pytest.mark.parametrize("text", ["plc.run or true", "true or plc.run", "not (plc.run and false)", "2 > 1 or plc.any"])
def test_what_is_known_whatever_the_signals_are(text: str) -> None:
    assert value_of(text) is True


def test_a_chain_that_is_false_already_is_false() -> None:
    assert value_of("2 < 1 < plc.speed") is False
    assert value_of("plc.speed < 1 < 0") is False


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("plc.fault", 0, "plc.fault is a number, not a truth value; write plc.fault != 0"),
        ("plc.run and plc.text", 12, 'plc.text is a text, not a truth value; write plc.text != ""'),
        ("not plc.speed", 4, "plc.speed is a number, not a truth value; write plc.speed != 0"),
        ("plc.run == 1", 0, "cannot be compared with a number; write plc.run or not plc.run"),
        ("5 > plc.run", 4, "plc.run is a truth value"),
        ("plc.run < plc.jam", 0, "cannot be compared by <"),
        ("plc.text == 5", 12, "plc.text is a text and 5 is a number: they cannot be compared"),
        ("plc.run + 1 > 1", 0, "plc.run is a truth value; one can calculate with numbers only"),
        ("plc.text + 'a' == 'b'", 0, "plc.text is a text; one can calculate with numbers only"),
        ("'a' * 99999999 == plc.text", 0, "'a' is a text; one can calculate with numbers only"),
        ("plc.run & plc.jam", 0, "bit operators take whole numbers; write `and`"),
        ("plc.run | true", 0, "bit operators take whole numbers; write `or`"),
        ("~plc.run", 1, "bit operators take whole numbers; write `not`"),
        ("plc.speed & 1 == 1", 0, "plc.speed is a number with a fraction"),
        ("1 << 64 == 0", 5, "a shift by 64 is outside 0..63"),
        ("plc.sped > 5", 0, "plc.sped is not a signal; did you mean `plc.speed`?"),
        ("plk.speed > 5", 0, "plk is not a device; did you mean `plc.speed`?"),
        ("zz.speed > 5", 0, "zz is not a device; did you mean `plc.speed`?"),
        ("zz.yy > 5", 0, "zz is not a device; the devices are plc, qc, in"),
        ("speed > 5", 0, "speed is not a signal: write it with its device; did you mean `plc.speed`?"),
        ("plc > 5", 0, "plc is a device, not a signal"),
        ("plc.run = true", 8, "write == to compare"),
        ("plc.run && plc.jam", 8, "write `and`"),
        ("plc.run || plc.jam", 8, "write `or`"),
        ("!plc.run", 0, "write `not`"),
        ("plc.fault <> 0", 10, "write !="),
        ("plc.fault ** 2 > 1", 10, "powers are not allowed"),
        ("plc.run AND plc.jam", 8, "AND is written `and`"),
        ("plc.run is true", 8, "write == to compare"),
        ("plc.run # why", 8, "comments are not allowed"),
        ("plc.run and\n plc.jam # why", 21, "comments are not allowed"),
        ("plc.text == 'abc", 12, "this text is never closed"),
        ("plc.text == 'a\\'b'", 12, "backslash"),
        ("(plc.run", 0, "this ( is never closed"),
        ("plc.run)", 7, "this ) closes nothing"),
        ("plc.run or", 8, "something is missing behind or"),
        ("and plc.run", 0, "cannot be read from here"),
        ("plc.run plc.jam", 8, "an operator such as ==, and, or is missing before plc.jam"),
        ("1.2.3 == 4", 3, "an operator such as"),
        ("plc.text == 'a' 'b'", 16, "an operator such as"),
        ("plc.run(1)", 0, "not allowed in a condition"),
        ("plc.run if true else plc.jam", 8, "an operator"),
        ("[plc.run]", 0, "[ is not allowed"),
        ("plc.fault in (1, 2)", 10, "an operator"),
        ("__import__('os').system('true')", 0, "__import__ is not a signal"),
        ("lambda: true", 0, "lambda is not a signal"),
        ("f'{plc.run}' == 'a'", 0, "f is not a signal"),
        ("plc.fault > 1e999", 12, "this number is too large"),
        ("plc.fault > " + "9" * 400, 12, "this number is too large"),
        ("", 0, "must not be empty"),
        (" \n ", 0, "must not be empty"),
        ("plc.run" + " " * 2000, 0, "at most 2000 characters"),
        ("-" * 1900 + "1 == 1", 50, "nested too deeply"),
        ("not " * 400 + "plc.run", 204, "nested too deeply"),
        ("(" * 300 + "plc.run" + ")" * 300, 200, "nested too deeply"),
        ("plc.text == 'ä€😀' and plc.fault", 22, "plc.fault is a number"),
        ("ｐlc.run", 0, "is not allowed"),
        ("plc.run\x00", 7, "is not allowed"),
    ],
)
def test_what_is_refused_and_where(text: str, column: int, words: str) -> None:
    with pytest.raises(ExpressionProblem) as raised:
        compile_expression(text, TYPES)
    assert (raised.value.column, words in raised.value.message) == (column, True), raised.value.message
    assert raised.value.message.isprintable()


def test_every_mistake_of_a_condition_is_found_once() -> None:
    with pytest.raises(ExpressionProblem) as raised:
        compile_expression("plc.sped > 5 and plc.fault or ~plc.run > 0 or plc.txt == ''", TYPES)
    assert [one.column for one in (raised.value, *raised.value.more)] == [0, 17, 31, 46]


def test_the_signals_are_those_that_are_used() -> None:
    expression = compile_expression("plc.run and plc.run or 'qc.pass' == plc.text", TYPES)
    assert expression.signals == {"plc.run", "plc.text"}


@pytest.mark.parametrize(
    ("text", "values", "words"),
    [
        ("1 / plc.fault > 0", {"plc__fault": 0}, "division by zero"),
        ("1 % plc.fault > 0", {"plc__fault": 0}, "modulo"),
        ("1 << plc.word > 0", {"plc__word": 64}, "outside 0..63"),
        ("1 >> plc.word > 0", {"plc__word": -1}, "outside 0..63"),
        ("plc.word * plc.word * plc.word > 0", {"plc__word": 2**63}, "too large"),
        ("(1 << 63 << 63 << 63) > plc.word", {"plc__word": 0}, "too large"),
        ("plc.speed * plc.speed > 0", {"plc__speed": 1e200}, "too large"),
        ("plc.any * 2 == 'aa'", {"plc__any": "a"}, "is not a number"),
        ("plc.any & 1 == 1", {"plc__any": True}, "is not a whole number"),
        ("plc.any > 5", {"plc__any": "a"}, "cannot be compared"),
        ("plc.any == 1", {"plc__any": True}, "cannot be compared"),
        ("plc.any", {"plc__any": 1}, "is not a truth value"),
    ],
)
def test_what_fails_at_run_time(text: str, values: dict[str, Value], words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        value_of(text, **values)


def test_what_is_decided_is_not_evaluated_further() -> None:
    assert value_of("plc.run and 1 / plc.fault > 0", plc__run=False, plc__fault=0) is False
    assert value_of("plc.run or 1 / plc.fault > 0", plc__run=True, plc__fault=0) is True
    with pytest.raises(ExpressionError):
        value_of("plc.run and 1 / plc.fault > 0", plc__fault=0)


# -- against an independent reference: Kleene's tables as minimum and maximum of 0, 1/2 and 1

Node: TypeAlias = tuple[Any, ...]
BOOLS, INTS = ("plc.run", "plc.jam", "qc.pass"), ("plc.fault", "plc.word", "in.is")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
CALCULATE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "&": operator.and_, "|": operator.or_, "^": operator.xor,
}  # fmt: skip

NUMBERS: st.SearchStrategy[Node] = st.recursive(
    st.tuples(st.just("signal"), st.sampled_from(INTS)) | st.tuples(st.just("number"), st.integers(0, 3)),
    lambda inner: st.tuples(st.just("calculate"), st.sampled_from(sorted(CALCULATE)), inner, inner),
    max_leaves=4,
)
TRUTHS: st.SearchStrategy[Node] = st.recursive(
    st.tuples(st.just("signal"), st.sampled_from(BOOLS))
    | st.tuples(
        st.just("chain"), st.lists(st.tuples(st.sampled_from(sorted(COMPARE)), NUMBERS), min_size=2, max_size=3)
    ),
    lambda inner: (
        st.tuples(st.just("not"), inner)
        | st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3))
    ),
    max_leaves=8,
)
SIGNALS = st.fixed_dictionaries(
    {name: st.none() | st.booleans() for name in BOOLS} | {name: st.none() | st.integers(-2, 3) for name in INTS}
)


def text_of(node: Node) -> str:
    match node:
        case ("signal", name):
            return str(name)
        case ("number", number):
            return str(number)
        case ("calculate", sign, left, right):
            return f"({text_of(left)} {sign} {text_of(right)})"
        case ("chain", [(_, first), *rest]):
            return f"({text_of(first)} " + " ".join(f"{sign} {text_of(one)}" for sign, one in rest) + ")"
        case ("not", inner):
            return f"(not {text_of(inner)})"
        case (word, parts):
            return "(" + f" {word} ".join(text_of(part) for part in parts) + ")"
    raise AssertionError(node)


def number(node: Node, values: dict[str, Any]) -> int | None:
    match node:
        case ("signal", name):
            return values[name]  # type: ignore[no-any-return]
        case ("number", constant):
            return int(constant)
    left, right = number(node[2], values), number(node[3], values)
    return None if left is None or right is None else int(CALCULATE[node[1]](left, right))


def certainty(node: Node, values: dict[str, Any]) -> float:
    """0 for false, 1 for true, 1/2 for unknown."""
    match node:
        case ("signal", name):
            return 0.5 if values[name] is None else float(values[name])
        case ("chain", links):
            pairs = []
            for (_, left), (sign, right) in itertools.pairwise(links):
                a, b = number(left, values), number(right, values)
                pairs.append(0.5 if a is None or b is None else float(COMPARE[sign](a, b)))
            return min(pairs)
        case ("not", inner):
            return 1 - certainty(inner, values)
        case (word, parts):
            return (min if word == "and" else max)(certainty(part, values) for part in parts)
    raise AssertionError(node)


@given(TRUTHS, SIGNALS)
@settings(max_examples=200, deadline=None)
def test_three_valued_logic_is_kleene_s(node: Node, values: dict[str, Any]) -> None:
    result = compile_expression(text_of(node), TYPES).evaluate(values)
    assert result is {0.0: False, 0.5: None, 1.0: True}[certainty(node, values)]


@given(TRUTHS, SIGNALS, SIGNALS)
@settings(max_examples=200, deadline=None)
def test_what_is_known_stays_true_however_the_unknown_turns_out(
    node: Node, values: dict[str, Any], truth: dict[str, Any]
) -> None:
    evaluate = compile_expression(text_of(node), TYPES).evaluate
    learned = {name: truth[name] if value is None else value for name, value in values.items()}
    if (result := evaluate(values)) is not None:
        assert evaluate(learned) is result


WORDS = st.from_regex(
    r"plc\.run|plc\.fault|plc\.speed|plc\.text|plc\.any|qc\.pass|and|or|not|true|[0-9]{1,3}|'a'|is|in|if|else|lambda|None|"
    r"[-+*/%&|^~<>()=!.,:;\[\]{}#@$`\\\"']{1,2}",
    fullmatch=True,
)


@given(st.text(max_size=40) | st.lists(WORDS, max_size=12).map(" ".join) | st.lists(WORDS, max_size=12).map("".join))
@settings(max_examples=400, deadline=None)
def test_any_text_is_compiled_or_explained(text: str) -> None:
    try:
        expression = compile_expression(text, TYPES)
    except ExpressionProblem as problem:
        for one in (problem, *problem.more):
            assert 0 <= one.column <= max(len(text) - 1, 0)
        return
    values: dict[str, Value] = {
        "plc.run": True,
        "plc.jam": False,
        "plc.fault": 3,
        "plc.word": 1,
        "plc.speed": 0.5,
        "plc.text": "a",
    }
    for unknown in (7, True, "b", None):
        try:
            result = expression.evaluate({**values, "plc.text": "a", "plc.any": unknown, "qc.pass": None, "in.is": 2})
        except ExpressionError:
            continue
        assert result in (True, False, None)


def test_evaluation_is_fast_enough_for_a_hot_loop() -> None:
    evaluate = compile_expression("plc.run and plc.speed > 5", TYPES).evaluate
    values: dict[str, Value] = {"plc.run": True, "plc.jam": False, "plc.fault": 3, "plc.word": 1, "plc.speed": 0.5}
    best = min(timeit.repeat(lambda: evaluate(values), number=10_000, repeat=5)) / 10_000
    assert best < 5e-6  # 0.1 to 0.2 µs measured


@pytest.mark.parametrize(("text", "column"), [("and''", 3), ("not''", 3), ("''and plc.run", 2), ("plc.run or''", 10)])
def test_a_text_that_touches_a_word_is_explained(text: str, column: int) -> None:
    with pytest.raises(ExpressionProblem) as problem:
        compile_expression(text, {"plc.run": "bool"})
    assert "space is missing" in str(problem.value)
    assert problem.value.column == column
