"""Fields that JSON Schema needs. A `Union`, or a `validate` of one's own, reads better elsewhere."""

from __future__ import annotations

import typing

from naja._native import db

from .fields import Any, Field

_CheckedField = db.validation.CheckedField


class _Composite(Field):
    """A field whose members say whether null is allowed."""

    def __init__(self, **kwargs: typing.Any) -> None:
        assert "allow_null" not in kwargs, "the members say whether null is allowed"
        super().__init__(**kwargs)


class NeverMatch(_Composite):
    """No value at all."""

    errors = {"never": "This never validates."}

    validate = _CheckedField._validate_never_match


class OneOf(_Composite):
    """What exactly one of the members takes."""

    errors = {
        "no_match": "Did not match any valid type.",
        "multiple_matches": "Matched more than one type.",
    }

    def __init__(self, one_of: list[Field], **kwargs: typing.Any) -> None:
        super().__init__(**kwargs)
        self.one_of = one_of

    validate = _CheckedField._validate_one_of


class AllOf(_Composite):
    """What all members take; the value stays as it is."""

    def __init__(self, all_of: list[Field], **kwargs: typing.Any) -> None:
        super().__init__(**kwargs)
        self.all_of = all_of

    validate = _CheckedField._validate_all_of


class Not(_Composite):
    """What the member does not take."""

    errors = {"negated": "Must not match."}

    def __init__(self, negated: Field, **kwargs: typing.Any) -> None:
        super().__init__(**kwargs)
        self.negated = negated

    validate = _CheckedField._validate_not


class IfThenElse(_Composite):
    """What one member takes, if the first one takes it, and else what the other takes."""

    def __init__(
        self,
        if_clause: Field,
        then_clause: Field | None = None,
        else_clause: Field | None = None,
        **kwargs: typing.Any,
    ) -> None:
        super().__init__(**kwargs)
        self.if_clause = if_clause
        self.then_clause = Any() if then_clause is None else then_clause
        self.else_clause = Any() if else_clause is None else else_clause

    validate = _CheckedField._validate_if_then_else
