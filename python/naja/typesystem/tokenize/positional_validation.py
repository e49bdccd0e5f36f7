"""Errors that say where in the text."""

from __future__ import annotations

import typing

from ..base import Message, Position, ValidationError
from ..fields import Field
from .tokens import Token

_T = typing.TypeVar("_T")


def validate_with_positions(*, token: Token, validator: Field[_T]) -> _T:
    """The checked value of a token; the messages of the error have the places of what they are about."""
    try:
        return validator.validate(token.value)
    except ValidationError as error:

        def find(index: list) -> tuple[Position, Position]:
            found = _deepest(token, index)
            return found.start, found.end

        raise with_positions(error, find) from None


def with_positions(
    error: ValidationError, find: typing.Callable[[list], tuple[Position, Position]]
) -> ValidationError:
    """The same error with the places that its messages' indexes lead to, in the order of the text."""
    placed = []
    for message in error.messages():
        text, index = message.text, message.index
        if message.code == "required" and index:
            # What is missing has no place: it is its object's.
            text = f"The field {index[-1]!r} is required."
            index = index[:-1]
        start, end = find(index)
        message = Message(
            text=text, code=message.code, index=message.index, start_position=start, end_position=end
        )
        placed.append((start.char_index, message))
    placed.sort(key=lambda pair: pair[0])
    return ValidationError(messages=[message for _, message in placed])


def _deepest(token: Token, index: list) -> Token:
    """The token to which an index leads; a field of the program's own may name what is not in the text."""
    for key in index:
        try:
            token = token.lookup([key])
        except (LookupError, NotImplementedError, TypeError):
            break
    return token
