"""From the text of an expression to its tree: parsed by `jmespath`, then looked at once more.

What the parser takes and what can only be a mistake is refused here, with its position: a text in
double quotes, which names a field, or a bare `true`, an unknown function, a wrong number of
arguments.
"""

import difflib
import re
from typing import Any

import orjson

from hookline._domain import check
from hookline._domain.expression.functions import FUNCTIONS
from hookline._domain.expression.meter import MAX_DEPTH, ExpressionFailed, weigh
from hookline._said import Said, either
from hookline.errors import InvalidExpression, InvalidInput

MAX_LENGTH = 4096
"""Characters of an expression."""
Node = dict[str, Any]
"""A node of the tree: its `type`, and `value` and `children` where it has them."""

_PIECES = re.compile(
    r"""[^'"`]+ | '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `(?:[^`\\]|\\.)*` | .""",
    re.DOTALL | re.VERBOSE,
)
_OPENING = {"lparen", "lbracket", "filter", "lbrace"}
_CLOSING = {"rparen", "rbracket", "rbrace"}
_GOES_ON = {"dot", "lbracket", "flatten", "filter", "colon"}
_WORDS = {"true", "false", "null"}
_EXPREF = "expression"


def parse(text: str, name: str = "expression") -> Node:
    """Return the tree of an expression; raise InvalidExpression with position and reason.

    InvalidInput, which names the option, for what is not text, and without `jmespath`.
    """
    check.text(name, text, 0, MAX_LENGTH)
    if not text.strip():
        raise InvalidExpression(Said("is empty"))
    _check_quoted(text)
    try:
        from jmespath import exceptions, lexer, parser  # noqa: PLC0415 - an extra
    except ImportError:
        raise InvalidInput(
            Said(
                "{name}: expressions are read by jmespath: pip install 'hookline[filters]'",
                name=name,
            )
        ) from None
    try:
        tokens = list(lexer.Lexer().tokenize(text))
        reader = parser.Parser()
        reader._CACHE = {}  # noqa: SLF001 - it would keep what any stranger tries
        tree: Node = reader.parse(text).parsed
    except exceptions.IncompleteExpressionError:
        raise InvalidExpression(Said("ends too soon"), len(text) + 1) from None
    except exceptions.LexerError as error:
        raise InvalidExpression(
            Said("unexpected {text!r}", text=str(error.lexer_value)[:20]), error.lexer_position + 1
        ) from None
    except exceptions.ParseError as error:
        raise InvalidExpression(_unexpected(error), error.lex_position + 1) from None
    except RecursionError:
        raise InvalidExpression(Said("is nested too deeply")) from None
    except (ValueError, IndexError) as error:  # a number of thousands of digits
        raise InvalidExpression(Said("cannot be read: {error}", error=str(error))) from None
    _Looker(tokens).look()
    return tree


def _check_quoted(text: str) -> None:
    """Refuse what is in quotes and is not what the quotes say."""
    for match in _PIECES.finditer(text):
        piece, at = match[0], match.start() + 1
        if piece in ("'", '"', "`"):
            raise InvalidExpression(Said("the {piece} is never closed", piece=piece), at)
        if piece[0] not in '"`':
            continue
        content = piece[1:-1].replace("\\`", "`") if piece[0] == "`" else piece
        try:
            weigh(orjson.loads(content), MAX_LENGTH)
        except orjson.JSONDecodeError:
            hint = Said("; for text write '{text}'", text=content[:40]) if piece[0] == "`" else ""
            raise InvalidExpression(
                Said("{piece} is no JSON{hint}", piece=piece[:40], hint=hint), at
            ) from None
        except ExpressionFailed:
            raise InvalidExpression(
                Said("is nested deeper than {most} levels", most=MAX_DEPTH), at
            ) from None


def _unexpected(error: Any) -> str:
    found = error.token_value
    if error.token_type == "NUMBER":
        return Said(
            "unexpected {found}; a number is written in backticks, `{found}`", found=str(found)
        )
    return Said("unexpected {text!r}", text=str(found)[:20]) if found else Said("ends too soon")


class _Looker:
    """One pass over the tokens of what the parser took."""

    def __init__(self, tokens: list[dict[str, Any]]) -> None:
        """Take them with the one that ends them."""
        self._tokens = tokens
        self._open: list[tuple[str, int, list[int]] | None] = []
        """The brackets around: name and position of a function, and where its arguments begin."""

    def look(self) -> None:
        """Raise InvalidExpression for the first mistake."""
        for at, token in enumerate(self._tokens):
            kind = token["type"]
            if kind == "expref" and not self._takes_expression(at):
                raise InvalidExpression(
                    Said(
                        "& is for the functions that take an expression: map, sort_by, "
                        "max_by, min_by"
                    ),
                    token["start"] + 1,
                )
            if kind in ("quoted_identifier", "unquoted_identifier"):
                self._check_name(at)
            if kind in _OPENING:
                self._open.append(self._call(at) if kind == "lparen" else None)
            elif kind in _CLOSING:
                self._close(self._open.pop())
            elif kind == "comma":
                self._next_argument(at)

    def _type(self, at: int) -> str:
        return str(self._tokens[at]["type"]) if at >= 0 else "start"

    def _call(self, at: int) -> tuple[str, int, list[int]] | None:
        """Return the function whose arguments open here; None for a mere parenthesis."""
        if self._type(at - 1) != "unquoted_identifier":
            return None
        name, position = self._tokens[at - 1]["value"], self._tokens[at - 1]["start"] + 1
        if name not in FUNCTIONS:
            near = difflib.get_close_matches(name.lower(), FUNCTIONS, n=3, cutoff=0.5)
            meant = Said("did you mean {hint}?", hint=either(near)) if near else None
            hint = meant or ", ".join(FUNCTIONS)
            raise InvalidExpression(
                Said("there is no function {name}; {hint}", name=name, hint=hint), position
            )
        return name, position, [] if self._type(at + 1) == "rparen" else [at + 1]

    def _next_argument(self, at: int) -> None:
        call = self._open[-1]
        if call is None:
            return
        if self._type(at + 1) == "rparen":  # the parser overlooks it
            raise InvalidExpression(Said("unexpected ','"), self._tokens[at]["start"] + 1)
        call[2].append(at + 1)

    def _takes_expression(self, at: int) -> bool:
        call = self._open[-1] if self._open else None
        if call is None or at not in call[2]:
            return False
        return FUNCTIONS[call[0]].type_of(call[2].index(at)) == _EXPREF

    def _close(self, call: tuple[str, int, list[int]] | None) -> None:
        if call is None:
            return
        name, position, begins = call
        function = FUNCTIONS[name]
        if not function.accepts(len(begins)):
            raise InvalidExpression(
                Said(
                    "{name} takes {arity}, {count} given",
                    name=name,
                    arity=function.arity,
                    count=len(begins),
                ),
                position,
            )
        for number, begin in enumerate(begins):
            if function.type_of(number) == _EXPREF and self._type(begin) != "expref":
                raise InvalidExpression(
                    Said(
                        "{name}: argument {number} is an expression, written with &: &name",
                        name=name,
                        number=number + 1,
                    ),
                    self._tokens[begin]["start"] + 1,
                )

    def _check_name(self, at: int) -> None:
        """Refuse a lone `"text"` or `true`: both name a field, and hardly ever are meant to."""
        if self._type(at - 1) == "dot" or self._type(at + 1) in _GOES_ON:
            return
        token = self._tokens[at]
        name, position = token["value"], token["start"] + 1
        if token["type"] == "quoted_identifier":
            raise InvalidExpression(
                Said(
                    "\"{name}\" in double quotes names a field; for text write '{name}', for the "
                    'field @."{name}"',
                    name=name,
                ),
                position,
            )
        if name in _WORDS:
            raise InvalidExpression(
                Said("{name} names a field; for the value write `{name}` in backticks", name=name),
                position,
            )
