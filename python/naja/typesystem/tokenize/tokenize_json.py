"""JSON with places, and errors that say where."""

from __future__ import annotations

import typing

from naja._native import db

from ..base import ParseError, Position, ValidationError
from ..fields import Field
from .positional_validation import with_positions
from .tokens import Token

_T = typing.TypeVar("_T")


def _no_content() -> typing.NoReturn:
    position = Position(column_no=1, line_no=1, char_index=0)
    raise ParseError(text="No content.", code="no_content", position=position)


def _text_of(content: str | bytes) -> str:
    text = content.decode("utf-8", "ignore") if isinstance(content, bytes) else content
    return text if text and not text.isspace() else _no_content()


def _position_of(text: str, index: int) -> Position:
    """Lines as `json` counts them: a line feed ends one."""
    return Position(
        line_no=text.count("\n", 0, index) + 1, column_no=index - text.rfind("\n", 0, index), char_index=index
    )


def _read(read: typing.Callable, text: str) -> typing.Any:
    value, fault = read(text)
    if fault is not None:
        words, index = fault
        raise ParseError(text=f"{words}.", code="parse_error", position=_position_of(text, index))
    return value


def tokenize_json(content: str | bytes) -> Token:
    """The tokens of a document; raises `ParseError`."""
    return _read(db.validation.tokenize, _text_of(content))


def validate_json(content: str | bytes, validator: Field[_T]) -> _T:
    """The checked value of a document; raises `ParseError` or `ValidationError`, whose messages say where."""
    text = _text_of(content)
    value = _read(db.validation.parse, text)
    try:
        return validator.validate(value)
    except ValidationError as error:
        # Places are worked out when somebody needs them.
        outline = db.validation.Outline(text)
        raise with_positions(error, lambda index: tuple(Position(*place) for place in outline.find(index))) from None
