"""Conditions of state rules: parsed, type-checked and compiled at load, then evaluated in three-valued logic.

A condition is parsed by Python's own parser from a skeleton that holds operators only (see `tokens`), checked node by
node against a closed list, and compiled to one function. None is unknown: a comparison or sum with it is unknown,
`true or unknown` is true, `false and unknown` is false. Operands are evaluated from left to right, and only
until the result is decided.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.config.nearest import unknown_signal
from gateway.states.tokens import ALLOWED, LARGEST_INTEGER, ExpressionProblem, Token, tokenize
from protocols.model import Value
from protocols.settings import ValueType

__all__ = ["ExprType", "Expression", "ExpressionError", "ExpressionProblem", "compile_expression"]

ExprType: TypeAlias = ValueType
"""bool, int, float or text."""

MAX_LENGTH = 2000
MAX_DEPTH = 50
MAX_SHIFT = 63

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
}  # fmt: skip
_BITS: dict[type[ast.operator], str] = {
    ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
}  # fmt: skip
_NOUN = {"bool": "a truth value", "int": "a number", "float": "a number", "text": "a text"}


class ExpressionError(Exception):
    """A condition could not be evaluated: division by zero, a shift out of range, a result beyond all bounds."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled condition."""

    text: str
    signals: frozenset[str]
    """The `device.signal` names that it uses."""
    evaluate: Callable[[Mapping[str, Value]], bool | None]
    """From the values of (at least) `signals`, None where one is bad. Raises ExpressionError."""


def compile_expression(text: str, types: Mapping[str, ExprType | None]) -> Expression:
    """Compile a condition over the signals that `types` names (`device.signal`; None: known at run time only).

    Raises ExpressionProblem with the column, and with every further problem in `more`.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionProblem(f"a condition has at most {MAX_LENGTH} characters, not {len(text)}", 0)
    skeleton, operands = tokenize(text, types)
    compiler = _Compiler(text, operands, types)
    result = compiler.truth(_parse(skeleton), 0)
    if compiler.problems:
        first, *more = sorted(compiler.problems, key=lambda problem: problem.column)
        first.more = tuple(more)
        raise first
    return Expression(text, frozenset(t.text for t in operands.values() if t.signal), compiler.function(result))


def _parse(skeleton: str) -> ast.expr:
    indent = len(skeleton) - len(skeleton.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(skeleton[indent:].rstrip(), mode="eval").body
    except SyntaxError as error:
        column = indent + max((error.offset or 1) - 1, 0)
        if "never closed" in error.msg:
            message = "this ( is never closed"
        elif "unmatched" in error.msg:
            message = "this ) closes nothing"
        elif "too many nested" in error.msg:
            message = "the condition is nested too deeply; split the rule in two"
        else:
            message = f"the condition cannot be read from here on; allowed are {ALLOWED}"
        raise ExpressionProblem(message, min(column, len(skeleton) - 1)) from None
    except (RecursionError, MemoryError, ValueError):
        raise ExpressionProblem("the condition is nested too deeply; split the rule in two", indent) from None
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            node.col_offset += indent
            node.end_col_offset = (node.end_col_offset or 0) + indent
    return tree


@dataclass(frozen=True, slots=True)
class _Operand:
    """A part of the condition in the code that is being written: a variable or a constant, and its type."""

    code: str
    type: ExprType | None
    known: bool = False
    """A constant is never unknown."""


class _Compiler:
    """Writes the condition as the body of one Python function, statement by statement."""

    def __init__(self, text: str, operands: Mapping[int, Token], types: Mapping[str, ExprType | None]) -> None:
        self.problems: list[ExpressionProblem] = []
        self._text = text
        self._operands = operands
        self._types = types
        self._lines: list[str] = []
        self._indent = 2
        self._variables = 0

    def function(self, result: _Operand) -> Callable[[Mapping[str, Value]], bool | None]:
        """The written code as a function; it holds nothing but names, literals and operators that were checked."""
        body = "\n".join(self._lines)
        source = f"def evaluate(values):\n try:\n{body}\n  return {result.code}\n except ERRORS as e:\n  failed(e)\n"
        namespace: dict[str, Any] = {**_HELPERS, "__builtins__": {}}
        exec(compile(source, "<condition>", "exec"), namespace)
        evaluate: Callable[[Mapping[str, Value]], bool | None] = namespace["evaluate"]
        return evaluate

    def truth(self, node: ast.expr, depth: int) -> _Operand:
        """A part that must be true, false or unknown."""
        operand = self._visit(node, depth)
        if operand.type in ("int", "float", "text"):
            mend = f"{self._source(node)} != {0 if operand.type != 'text' else chr(34) * 2}"
            self._problem(f"{self._source(node)} is {_NOUN[operand.type]}, not a truth value; write {mend}", node)
        return operand if operand.type is not None else self._assign(f"truth({operand.code})", "bool")

    def _visit(self, node: ast.expr, depth: int) -> _Operand:
        before = len(self.problems)
        operand = self._part(node, depth)
        # what holds a mistake has no type, so that one mistake brings one message
        return operand if len(self.problems) == before else _Operand(operand.code, None)

    def _part(self, node: ast.expr, depth: int) -> _Operand:
        if depth > MAX_DEPTH:
            raise ExpressionProblem("the condition is nested too deeply; split the rule in two", node.col_offset)
        match node:
            case ast.Name() | ast.Constant():
                return self._leaf(node)
            case ast.BoolOp():
                return self._logic(node, depth + 1)
            case ast.Compare():
                return self._comparison(node, depth + 1)
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                return self._arithmetic(node, depth + 1)
            case ast.BinOp() if type(node.op) in _BITS:
                return self._bits(node, depth + 1)
            case ast.UnaryOp(op=ast.Not()):
                operand = self.truth(node.operand, depth + 1)
                return self._assign(self._unless_unknown(f"not {operand.code}", operand), "bool")
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                operand = self._number(node.operand, depth + 1)
                sign = "-" if isinstance(node.op, ast.USub) else "+"
                return self._assign(self._unless_unknown(f"{sign}{operand.code}", operand), operand.type)
            case ast.UnaryOp(op=ast.Invert()):
                operand = self._integer(node.operand, depth + 1)
                return self._assign(self._unless_unknown(f"~{operand.code}", operand), "int")
        raise ExpressionProblem(f"this is not allowed in a condition; allowed are {ALLOWED}", node.col_offset)

    def _leaf(self, node: ast.Name | ast.Constant) -> _Operand:
        token = self._operands[node.col_offset]
        if not token.signal:
            kind: ExprType = "bool" if token.value is True or token.value is False else "int"
            kind = "float" if isinstance(token.value, float) else "text" if isinstance(token.value, str) else kind
            return _Operand(repr(token.value), kind, known=True)
        if token.text not in self._types:
            self._problem(unknown_signal(token.text, self._types), node)
        return self._assign(f"values[{token.text!r}]", self._types.get(token.text))

    def _logic(self, node: ast.BoolOp, depth: int) -> _Operand:
        conjunction = isinstance(node.op, ast.And)
        decided, neutral = ("False", "True") if conjunction else ("True", "False")
        result = self._variable()
        for index, part in enumerate(node.values):
            if index:
                self._lines.append(f"{' ' * self._indent}if {result} is not {decided}:")
                self._indent += 1
            operand = self.truth(part, depth)
            if index:
                # the neutral value gives way to anything, unknown only to what decides
                gives_way = f"{result} is {neutral} or {operand.code} is {decided}"
                self._line(f"{result} = {operand.code} if {gives_way} else None")
                self._indent -= 1
            else:
                self._line(f"{result} = {operand.code}")
        return _Operand(result, "bool")

    def _comparison(self, node: ast.Compare, depth: int) -> _Operand:
        result = self._variable()
        left_node, left = node.left, self._visit(node.left, depth)
        for index, (operator, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
            if type(operator) not in _COMPARISONS:
                raise ExpressionProblem(f"this comparison is not allowed; allowed are {ALLOWED}", right_node.col_offset)
            if index:
                self._lines.append(f"{' ' * self._indent}if {result} is not False:")
                self._indent += 1
            right = self._visit(right_node, depth)
            sign = _COMPARISONS[type(operator)]
            self._check_comparable(left_node, left, sign, right_node, right)
            pair = self._assign(self._compared(left, sign, right), "bool")
            if index:
                self._line(f"{result} = {pair.code} if {result} is True or {pair.code} is False else None")
                self._indent -= 1
            else:
                self._line(f"{result} = {pair.code}")
            left_node, left = right_node, right
        return _Operand(result, "bool")

    def _compared(self, left: _Operand, sign: str, right: _Operand) -> str:
        if left.type is None or right.type is None:  # only the values themselves can tell
            check = f"alike({left.code}, {right.code}) and "
            return self._unless_unknown(f"{check}{left.code} {sign} {right.code}", left, right)
        return self._unless_unknown(f"{left.code} {sign} {right.code}", left, right)

    def _check_comparable(self, a_node: ast.expr, a: _Operand, sign: str, b_node: ast.expr, b: _Operand) -> None:
        if a.type is None or b.type is None:
            return
        if "bool" in (a.type, b.type) and (a.type != b.type or sign not in ("==", "!=")):
            flag, node = (a, a_node) if a.type == "bool" else (b, b_node)
            other = b if flag is a else a
            what = f"compared with {_NOUN[str(other.type)]}" if other.type != "bool" else f"compared by {sign}"
            mend = f"write {self._source(node)} or not {self._source(node)}"
            self._problem(f"{self._source(node)} is a truth value and cannot be {what}; {mend}", node)
        elif (a.type == "text") != (b.type == "text"):
            words = f"{self._source(a_node)} is {_NOUN[a.type]} and {self._source(b_node)} is {_NOUN[b.type]}"
            self._problem(f"{words}: they cannot be compared", b_node)

    def _arithmetic(self, node: ast.BinOp, depth: int) -> _Operand:
        left, right = self._number(node.left, depth), self._number(node.right, depth)
        kind: ExprType | None = None
        if isinstance(node.op, ast.Div) or "float" in (left.type, right.type):
            kind = "float"
        elif left.type == right.type == "int":
            kind = "int"
        code = f"bounded({left.code} {_ARITHMETIC[type(node.op)]} {right.code})"
        return self._assign(self._unless_unknown(code, left, right), kind)

    def _bits(self, node: ast.BinOp, depth: int) -> _Operand:
        left, right = self._integer(node.left, depth, node.op), self._integer(node.right, depth, node.op)
        if isinstance(node.op, ast.LShift | ast.RShift):
            if right.known and right.code.isdigit() and int(right.code) > MAX_SHIFT:
                self._problem(f"a shift by {right.code} is outside 0..{MAX_SHIFT}", node.right)
            right = self._assign(self._unless_unknown(f"shift({right.code})", right), "int")
        code = f"bounded({left.code} {_BITS[type(node.op)]} {right.code})"
        return self._assign(self._unless_unknown(code, left, right), "int")

    def _number(self, node: ast.expr, depth: int) -> _Operand:
        operand = self._visit(node, depth)
        if operand.type is None:
            return self._assign(self._unless_unknown(f"number({operand.code})", operand), None)
        if operand.type in ("bool", "text"):
            self._problem(f"{self._source(node)} is {_NOUN[operand.type]}; one can calculate with numbers only", node)
        return operand

    def _integer(self, node: ast.expr, depth: int, operator: ast.operator | None = None) -> _Operand:
        operand = self._visit(node, depth)
        if operand.type is None:
            return self._assign(self._unless_unknown(f"whole({operand.code})", operand), "int")
        if operand.type != "int":
            mend = "; write `and`" if isinstance(operator, ast.BitAnd) else "; write `or`"
            mend = mend if isinstance(operator, ast.BitAnd | ast.BitOr) else "; write `not`" if operator is None else ""
            what = "a number with a fraction" if operand.type == "float" else _NOUN[operand.type]
            words = f"{self._source(node)} is {what}; bit operators take whole numbers"
            self._problem(words + (mend if operand.type == "bool" else ""), node)
        return operand

    def _unless_unknown(self, code: str, *operands: _Operand) -> str:
        unknown = " or ".join(dict.fromkeys(f"{o.code} is None" for o in operands if not o.known))
        return f"None if {unknown} else {code}" if unknown else code

    def _assign(self, code: str, kind: ExprType | None) -> _Operand:
        variable = self._variable()
        self._line(f"{variable} = {code}")
        return _Operand(variable, kind)

    def _variable(self) -> str:
        self._variables += 1
        return f"v{self._variables}"

    def _line(self, code: str) -> None:
        self._lines.append(f"{' ' * self._indent}{code}")

    def _source(self, node: ast.expr) -> str:
        return self._text[node.col_offset : node.end_col_offset]

    def _problem(self, message: str, node: ast.expr) -> None:
        self.problems.append(ExpressionProblem(message, node.col_offset))


def _failed(error: Exception) -> None:
    raise ExpressionError(str(error)) from None


def _bounded(number: Any) -> Any:
    if type(number) is int:
        if -LARGEST_INTEGER <= number <= LARGEST_INTEGER:
            return number
    elif math.isfinite(number):
        return number
    raise ExpressionError("the result is too large")


def _truth(value: Any) -> bool | None:
    if value is None or value is True or value is False:
        return value
    raise ExpressionError(f"{value!r} is not a truth value")


def _number_only(value: Any) -> Any:
    if type(value) is int or type(value) is float:
        return value
    raise ExpressionError(f"{value!r} is not a number")


def _whole(value: Any) -> int:
    if type(value) is int:
        return value
    raise ExpressionError(f"{value!r} is not a whole number")


def _shift(count: int) -> int:
    if 0 <= count <= MAX_SHIFT:
        return count
    raise ExpressionError(f"a shift by {count} is outside 0..{MAX_SHIFT}")


def _alike(left: Any, right: Any) -> bool:
    if _family(left) == _family(right):
        return True
    raise ExpressionError(f"{left!r} and {right!r} cannot be compared")


def _family(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


_HELPERS: dict[str, Any] = {
    "ERRORS": (ArithmeticError, TypeError, ValueError),
    "failed": _failed,
    "bounded": _bounded,
    "truth": _truth,
    "number": _number_only,
    "whole": _whole,
    "shift": _shift,
    "alike": _alike,
}
