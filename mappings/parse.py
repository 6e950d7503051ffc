"""The grammar of expressions: a closed list of forms, each with its place.

    or · and · not · = <> < <= > >= · is [not] null · [not] in (…) · [not] between … and … · [not] like '…' · || · + - · * / · ::type
    case [x] when … then … [else …] end · cast(x as type) · name(args) · (x) · 'text' · 12.5 · true · false · null
    paths: a.b.c · lines[0].sku · addresses[type = 'billing'].city · "Odd Name".x · record.x

What is not in this list cannot be written: there is no subquery, no second statement and no comment to be refused later.
A path alone (`a.b[0].c`) is recognised by one regular expression and may then use any word, also `order` or `end`.
docs/adr/0006 says why this is not sqlglot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from mappings.tree import Binary, Call, Case, Cast, Filter, In, Index, IsNull, Literal, Name, Node, Path, Type, Unary

MAX_LENGTH = 4_000
MAX_DEPTH = 40
MAX_OPERATORS = 100  # a tree leans to the left by one level for each of them

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_BARE = re.compile(rf"{_NAME}(?:\[\d{{1,5}}\])*(?:\.{_NAME}(?:\[\d{{1,5}}\])*)*")
_STEP = re.compile(rf"({_NAME})|\[(\d+)\]")
_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")+\")"
    rf"|(?P<name>{_NAME})|(?P<op>::|\|\||<>|!=|<=|>=|[-=<>+*/%()\[\],.])"
)
_WITHIN_QUOTES = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")+\"")
_DAY = re.compile(r"(?<![\w.])(?:19|20)\d\d-[01]\d-[0-3]\d(?!\w)")
_KEYWORDS = (
    "and or not is null in between like case when then else end true false cast as select from where exists interval"
)
_WORDS = frozenset(_KEYWORDS.split())
_COMPARE = ("=", "<>", "!=", "<", "<=", ">", ">=")
CAST_TYPES: dict[str, Type] = {
    "text": "text",
    "varchar": "text",
    "number": "number",
    "decimal": "number",
    "numeric": "number",
    "integer": "integer",
    "int": "integer",
    "bigint": "integer",
    "boolean": "boolean",
    "bool": "boolean",
    "date": "date",
    "instant": "instant",
    "timestamptz": "instant",
}


class ExpressionError(Exception):
    """What is wrong at `at` (0-based offset in the expression), and what to do."""

    def __init__(self, what: str, at: int, fix: str = "", code: str = "M120") -> None:
        super().__init__(what)
        self.what, self.at, self.fix, self.code = what, at, fix, code


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def parse(text: str) -> Node:
    """The tree of an expression. Raises ExpressionError at the first thing that does not belong to the language."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression of {len(text):,} characters", 0, f"at most {MAX_LENGTH:,} are read")
    if path := bare_path(text):
        return path
    if day := _DAY.search(_WITHIN_QUOTES.sub(lambda quoted: " " * len(quoted[0]), text)):
        raise ExpressionError(f"{day[0]} would be a subtraction", day.start(), f"a day is a text in quotes: '{day[0]}'")
    return _Parser(list(_tokens(text)), len(text)).whole()


def bare_path(text: str) -> Path | None:
    """The path, where the text is nothing but one without filters; else None."""
    stripped = text.strip()
    if not _BARE.fullmatch(stripped) or stripped.lower() in ("true", "false", "null"):
        return None
    start = text.index(stripped)
    steps: list[Name | Index | Filter] = []
    for match in _STEP.finditer(stripped):
        at = start + match.start()
        steps.append(Name(match[1], at) if match[1] else Index(int(match[2]), at))
    return Path(tuple(steps), start)


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        if text.startswith(("--", "/*"), at):
            raise ExpressionError("there are no comments in expressions", at, "write a YAML comment (#)")
        match = _TOKEN.match(text, at)
        if not match:
            raise ExpressionError(f"{text[at]!r} does not belong in an expression", at, _hint(text[at]))
        kind = str(match.lastgroup)
        if kind in ("text", "quoted") and not match[0].isprintable():
            raise ExpressionError("control characters in quotes", at, "write plain text")
        if kind != "space":
            yield _Token(kind, match[0], at)
        at = match.end()


def _hint(character: str) -> str:
    return {"'": "the text is not closed", '"': "the name is not closed", ";": "one expression, no statements"}.get(
        character, 'a name with other characters is written in double quotes: "Größe"'
    )


def _meant(before: _Token, token: _Token) -> str:
    """What to write instead of two tokens that do not go together, where that is known."""
    if token.text == before.text == "=":
        return "one = compares"
    if before.kind == "number" and re.fullmatch(r"[eE]\d*", token.text):
        return "write the number out: 1000"
    return ""


def _binds(token: _Token) -> bool:
    return token.text not in "()," if token.kind == "op" else token.text.lower() in ("and", "or", "not")


class _Parser:
    """Recursive descent, one method a level of precedence."""

    def __init__(self, tokens: list[_Token], end: int) -> None:
        self.tokens, self.end, self.index, self.depth = tokens, end, 0, 0
        if sum(_binds(token) for token in tokens) > MAX_OPERATORS:
            raise ExpressionError(f"more than {MAX_OPERATORS} operators", 0, "split the mapping, or ask for a function")

    def whole(self) -> Node:
        if not self.tokens:
            raise ExpressionError("an empty expression", 0, "write a path or an expression")
        node = self.expression()
        if token := self.peek():
            self.fail(f"unexpected '{token.text}'", token, _meant(self.tokens[self.index - 1], token))
        return node

    # -- tokens

    def peek(self, ahead: int = 0) -> _Token | None:
        return self.tokens[self.index + ahead] if self.index + ahead < len(self.tokens) else None

    def fail(self, what: str, token: _Token | None = None, fix: str = "") -> NoReturn:
        raise ExpressionError(what, token.at if token else self.end, fix)

    def is_op(self, *ops: str) -> bool:
        token = self.peek()
        return token is not None and token.kind == "op" and token.text in ops

    def is_word(self, *words: str, ahead: int = 0) -> bool:
        token = self.peek(ahead)
        return token is not None and token.kind == "name" and token.text.lower() in words

    def take(self) -> _Token:
        token = self.peek()
        if token is None:
            self.fail("the expression ends too early")
        self.index += 1
        return token

    def expect_op(self, op: str) -> _Token:
        if not self.is_op(op):
            token = self.peek()
            self.fail(f"expected '{op}'" + (f" before '{token.text}'" if token else ""), token)
        return self.take()

    def expect_word(self, word: str) -> _Token:
        if not self.is_word(word):
            token = self.peek()
            self.fail(f"expected '{word}'" + (f" before '{token.text}'" if token else ""), token)
        return self.take()

    # -- levels, loosest first

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH}", self.peek())
        node = self.conjunction()
        while self.is_word("or"):
            at = self.take().at
            node = Binary("or", node, self.conjunction(), at)
        self.depth -= 1
        return node

    def conjunction(self) -> Node:
        node = self.negation()
        while self.is_word("and"):
            at = self.take().at
            node = Binary("and", node, self.negation(), at)
        return node

    def negation(self) -> Node:
        ats = []
        while self.is_word("not"):
            ats.append(self.take().at)
        node = self.comparison()
        for at in reversed(ats):
            node = Unary("not", node, at)
        return node

    def comparison(self) -> Node:
        node = self.joining()
        while True:
            if self.is_op(*_COMPARE):
                op = self.take()
                node = Binary("<>" if op.text == "!=" else op.text, node, self.joining(), op.at)
            elif self.is_word("is"):
                at = self.take().at
                negated = self.is_word("not") and bool(self.take())
                self.expect_word("null")
                node = IsNull(node, negated, at)
            elif self.is_word("in", "between", "like") or (
                self.is_word("not") and self.is_word("in", "between", "like", ahead=1)
            ):
                node = self.membership(node)
            else:
                return node

    def membership(self, node: Node) -> Node:
        negated = self.is_word("not") and bool(self.take())
        word = self.take()
        made: Node
        if word.text.lower() == "in":
            self.expect_op("(")
            return In(node, self.arguments(word), negated, word.at)
        if word.text.lower() == "between":
            low = self.joining()
            self.expect_word("and")
            high = self.joining()
            made = Binary("and", Binary(">=", node, low, word.at), Binary("<=", node, high, word.at), word.at)
        else:
            made = Call("like", (node, self.joining()), word.at)
        return Unary("not", made, word.at) if negated else made

    def joining(self) -> Node:
        node = self.sum()
        while self.is_op("||"):
            at = self.take().at
            node = Binary("||", node, self.sum(), at)
        return node

    def sum(self) -> Node:
        node = self.product()
        while self.is_op("+", "-"):
            op = self.take()
            node = Binary(op.text, node, self.product(), op.at)
        return node

    def product(self) -> Node:
        node = self.sign()
        while self.is_op("*", "/", "%"):
            op = self.take()
            if op.text == "%":
                self.fail("there is no '%'", op)
            node = Binary(op.text, node, self.sign(), op.at)
        return node

    def sign(self) -> Node:
        if self.is_op("-"):
            at = self.take().at
            if self.is_op("-"):
                self.fail("two signs", self.peek())
            return Unary("-", self.cast(), at)
        return self.cast()

    def cast(self) -> Node:
        node = self.primary()
        while self.is_op("::"):
            at = self.take().at
            node = Cast(node, self.type(), at)
        return node

    def type(self) -> Type:
        token = self.take()
        made = CAST_TYPES.get(token.text.lower())
        if token.kind != "name" or made is None:
            fix = "write instant(x, 'Zone/City'): a time needs its zone" if token.text.lower() == "timestamp" else ""
            self.fail(f"there is no type '{token.text}'", token, fix or f"there are: {', '.join(sorted(CAST_TYPES))}")
        if self.is_op("("):
            self.fail(
                "a type has no size here", self.peek(), "write round(x, decimals): rounding is said, never implied"
            )
        return made

    # -- the smallest parts

    def primary(self) -> Node:
        token = self.take()
        if token.kind == "op" and token.text == "(":
            node = self.expression()
            self.expect_op(")")
            if self.is_op("[", "."):
                self.fail("only a path has parts", self.peek())
            return node
        if token.kind == "number":
            return Literal("number", "0" + token.text if token.text.startswith(".") else token.text, token.at)
        if token.kind == "text":
            return Literal("text", token.text[1:-1].replace("''", "'"), token.at)
        if token.kind == "quoted":
            return self.path(Name(token.text[1:-1].replace('""', '"'), token.at, quoted=True))
        if token.kind == "name":
            return self.named(token)
        self.fail(f"unexpected '{token.text}'", token, _meant(self.tokens[self.index - 2], token))

    def named(self, token: _Token) -> Node:
        word = token.text.lower()
        if word in ("true", "false"):
            return Literal("boolean", word, token.at)
        if word == "null":
            return Literal("missing", "", token.at)
        if word == "case":
            return self.case(token)
        if word == "cast" and self.is_op("("):
            self.take()
            operand = self.expression()
            self.expect_word("as")
            made = Cast(operand, self.type(), token.at)
            self.expect_op(")")
            return made
        if self.is_op("("):
            self.take()
            return Call(word, self.arguments(token), token.at)
        if word in _WORDS:
            self.fail(f"unexpected '{token.text}'", token, f'a field of this name is written "{token.text}"')
        return self.path(Name(token.text, token.at))

    def arguments(self, opener: _Token) -> tuple[Node, ...]:
        if self.is_op(")"):
            self.take()
            return ()
        found = [self.expression()]
        while self.is_op(","):
            self.take()
            found.append(self.expression())
        if not self.is_op(")"):
            fix = "close it; within {…} YAML ends a value at a comma, so put the expression in quotes"
            self.fail(f"the parenthesis of '{opener.text}' is not closed", self.peek() or opener, fix)
        self.take()
        return tuple(found)

    def case(self, opener: _Token) -> Node:
        subject = None if self.is_word("when") else self.expression()
        branches = []
        while self.is_word("when"):
            self.take()
            condition = self.expression()
            self.expect_word("then")
            branches.append((condition, self.expression()))
        if not branches:
            self.fail("a case without when", opener)
        default = None
        if self.is_word("else"):
            self.take()
            default = self.expression()
        self.expect_word("end")
        return Case(subject, tuple(branches), default, opener.at)

    def path(self, first: Name) -> Path:
        steps: list[Name | Index | Filter] = [first]
        while self.is_op(".", "["):
            op = self.take()
            if op.text == ".":
                part = self.take()
                if part.kind not in ("name", "quoted"):
                    self.fail("a name belongs after the dot", part)
                quoted = part.kind == "quoted"
                steps.append(Name(part.text[1:-1].replace('""', '"') if quoted else part.text, part.at, quoted))
                continue
            token, after = self.peek(), self.peek(1)
            if token and token.kind == "number" and after and after.text == "]":
                if "." in token.text or len(token.text) > 5:
                    self.fail("an index is a whole number below 100,000", token)
                steps.append(Index(int(self.take().text), token.at))
            else:
                condition = self.expression()
                if isinstance(condition, Literal) or (isinstance(condition, Unary) and condition.op == "-"):
                    raise ExpressionError("an index from 0, or a condition", op.at, "write a[0].x or a[kind = 'b'].x")
                steps.append(Filter(condition, op.at))
            self.expect_op("]")
        return Path(tuple(steps), first.at)
