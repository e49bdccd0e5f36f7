"""Errors that say where in the text."""

from __future__ import annotations

import typing

from ..base import Message, ValidationError
from ..fields import Field
from .tokens import Token

_T = typing.TypeVar("_T")


def validate_with_positions(*, token: Token, validator: Field[_T]) -> _T:
    """The checked value of a token; the messages of the error have the places of what they are about."""
    try:
        return validator.validate(token.value)
    except ValidationError as error:
        raise with_positions(error, token) from None


def with_positions(error: ValidationError, token: Token) -> ValidationError:
    """The same error with places, its messages in the order of the text."""
    messages = [_placed(message, token) for message in error.messages()]
    return ValidationError(messages=sorted(messages, key=lambda message: message.start_position.char_index))


def _placed(message: Message, token: Token) -> Message:
    text, index = message.text, message.index
    if message.code == "required" and index:
        # What is missing has no place: it is its object's.
        text = f"The field {index[-1]!r} is required."
        index = index[:-1]
    for key in index:
        try:
            token = token.lookup([key])
        except (LookupError, NotImplementedError, TypeError):
            # A field of the program's own may name what is not in the text.
            break
    return Message(
        text=text, code=message.code, index=message.index, start_position=token.start, end_position=token.end
    )
