"""Errors, messages and results."""

from __future__ import annotations

import typing
from collections.abc import Mapping

from naja._native import db

ValidationResult = db.validation.ValidationResult

Key = typing.Union[int, str]


class Position:
    """Where a character stands: line and column count from 1, the index from 0."""

    def __init__(self, line_no: int, column_no: int, char_index: int):
        self.line_no = line_no
        self.column_no = column_no
        self.char_index = char_index

    def __eq__(self, other: typing.Any) -> bool:
        return isinstance(other, Position) and vars(self) == vars(other)

    def __repr__(self) -> str:
        parts = f"line_no={self.line_no}, column_no={self.column_no}, char_index={self.char_index}"
        return f"{type(self).__name__}({parts})"


class Message:
    """One thing that is wrong: words, a code for programs, and where in the value."""

    def __init__(
        self,
        *,
        text: str,
        code: str | None = None,
        key: Key | None = None,
        index: list[Key] | None = None,
        position: Position | None = None,
        start_position: Position | None = None,
        end_position: Position | None = None,
    ):
        """
        `key` is an index of one key; `position` is both the start and the end.
        """
        assert key is None or index is None, "a message has a key or an index"
        assert position is None or start_position is end_position is None, "a message has one position or two"
        self.text = text
        self.code = "custom" if code is None else code
        self.index = [key] if key is not None else [] if index is None else index
        self.start_position = start_position if position is None else position
        self.end_position = end_position if position is None else position

    def __eq__(self, other: typing.Any) -> bool:
        return isinstance(other, Message) and (
            (self.text, self.code, self.index) == (other.text, other.code, other.index)
            and self.start_position == other.start_position
            and self.end_position == other.end_position
        )

    def __hash__(self) -> int:
        return hash((self.code, tuple(self.index)))

    def __repr__(self) -> str:
        parts = [f"text={self.text!r}", f"code={self.code!r}"]
        if self.index:
            parts.append(f"index={self.index!r}")
        if self.start_position is not None:
            if self.start_position == self.end_position:
                parts.append(f"position={self.start_position!r}")
            else:
                parts.append(f"start_position={self.start_position!r}")
                parts.append(f"end_position={self.end_position!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


class BaseError(db.validation.ErrorBase, Mapping):
    """Messages: a list by `messages()`, and a dictionary of texts by key, nested as the value is."""

    def __init__(
        self,
        *,
        text: str | None = None,
        code: str | None = None,
        key: Key | None = None,
        position: Position | None = None,
        messages: list[Message] | None = None,
    ):
        """
        Either one message by its parts, or all of them.
        """
        if messages is None:
            assert text is not None, "an error has a text or messages"
            messages = [Message(text=text, code=code, key=key, position=position)]
        else:
            assert text is code is key is position is None, "an error has a text or messages"
            assert len(messages), "an error has a message"
        self._messages = messages

    def messages(self, *, add_prefix: Key | None = None) -> list[Message]:
        """The messages; with a prefix, as those of a value that stands at that key of another one."""
        if add_prefix is None:
            return list(self._messages)
        return [Message(text=one.text, code=one.code, index=[add_prefix, *one.index]) for one in self._messages]

    def __eq__(self, other: typing.Any) -> bool:
        return isinstance(other, ValidationError) and self._messages == other._messages

    def __hash__(self) -> int:
        return hash(tuple(hash(message) for message in self._messages))

    def _is_plain(self) -> bool:
        """Whether there is one message, of the value as a whole."""
        return len(self._messages) == 1 and not self._messages[0].index

    def __repr__(self) -> str:
        if self._is_plain():
            (message,) = self._messages
            return f"{type(self).__name__}(text={message.text!r}, code={message.code!r})"
        return f"{type(self).__name__}({self._messages!r})"

    def __str__(self) -> str:
        return self._messages[0].text if self._is_plain() else str(dict(self))

    def __reduce__(self) -> tuple:
        return _remade, (type(self), list(self._messages))


def _remade(kind: type[BaseError], messages: list[Message]) -> BaseError:
    """An error out of a pickle."""
    return kind(messages=messages)


class ParseError(BaseError):
    """A text is no JSON or no YAML."""


class ValidationError(BaseError):
    """A value is not valid: raised by `validate`, given by `validate_or_error`."""
