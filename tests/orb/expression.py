"""CircleCI's expressions: contexts are restricted by them, jobs filtered, workflows and steps made conditional.

Grammar, precedence and short circuits are those of https://github.com/CircleCI-Public/expr: `not` binds closer than a
comparison. `and`, `or`, `not`, `==`, `!=`, `starts-with`, parentheses, texts, whole numbers, booleans and values are
imitated. The other operators are errors here, and so is what is neither true nor false where one of them is needed."""

import re


class ExpressionError(Exception):
    """The expression cannot be parsed, or not be evaluated with these values."""


TOKEN = re.compile(r'\s*("(?:[^"\\]|\\["\\])*"|[()]|[=!]=|[A-Za-z][\w-]*(?:\.[\w-]+)*|\d+(?!\w))')
OPERATORS = ("and", "or", "not", "==", "!=", "starts-with", ")")


def holds(text, values):
    """Whether an expression holds. All of it must parse, even what a short circuit leaves out."""
    return _truth(_Parser(text).whole()(values))


class _Parser:
    """Each method takes what it is named after from the tokens, and gives a function of the values."""

    def __init__(self, text):
        self.tokens, at, text = [], 0, text.strip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if not found:
                raise ExpressionError(f"what is `{text[at:]}`?")
            self.tokens.append(found[1])
            at = found.end()

    def take(self, *wanted):
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in wanted else None

    def whole(self):
        found = self.any_of()
        if self.tokens:
            raise ExpressionError(f"expected an operator, found `{self.tokens[0]}`")
        return found

    def any_of(self):
        operands = [self.all_of()]
        while self.take("or"):
            operands.append(self.all_of())
        return operands[0] if len(operands) == 1 else lambda values: any(_truth(one(values)) for one in operands)

    def all_of(self):
        operands = [self.equality()]
        while self.take("and"):
            operands.append(self.equality())
        return operands[0] if len(operands) == 1 else lambda values: all(_truth(one(values)) for one in operands)

    def equality(self):
        found = self.unary()
        while operator := self.take("==", "!=", "starts-with"):
            found = _compared(operator, found, self.unary())
        return found

    def unary(self):
        if self.take("not"):
            operand = self.unary()
            return lambda values: not _truth(operand(values))
        return self.primary()

    def primary(self):
        token = self.tokens.pop(0) if self.tokens else "the end"
        if token == "(":
            found = self.any_of()
            if not self.take(")"):
                raise ExpressionError("a `(` is not closed")
            return found
        if token in (*OPERATORS, "the end"):
            raise ExpressionError(f"expected a value, found {token}")
        if token.startswith('"'):
            return lambda _: re.sub(r"\\(.)", r"\1", token[1:-1])
        if token.isdecimal():
            return lambda _: int(token)
        return (lambda _: token == "true") if token in ("true", "false") else (lambda values: _value(token, values))


def _value(name, values):
    if name not in values:
        raise ExpressionError(f"there is no value `{name}`")
    return values[name]


def _truth(value):
    if not isinstance(value, bool):
        raise ExpressionError(f"expected true or false, found {value!r}")
    return value


def _compared(operator, left, right):
    def compare(values):
        one, other = left(values), right(values)
        if operator == "starts-with":
            if not isinstance(one, str) or not isinstance(other, str):
                raise ExpressionError(f"starts-with compares texts, found {one!r} and {other!r}")
            return one.startswith(other)
        return (type(one) is type(other) and one == other) == (operator == "==")

    return compare
