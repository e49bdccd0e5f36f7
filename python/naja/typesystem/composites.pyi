from typing import Any, TypeVar

from typing_extensions import Never, Unpack

from .fields import Field, _FieldOptions

_T = TypeVar("_T")

class NeverMatch(Field[Never]):
    def __init__(self, **options: Unpack[_FieldOptions]) -> None: ...

class OneOf(Field[_T]):
    one_of: list[Field[Any]]
    def __init__(self, one_of: list[Field[_T]], **options: Unpack[_FieldOptions]) -> None: ...

class AllOf(Field[Any]):
    all_of: list[Field[Any]]
    def __init__(self, all_of: list[Field[Any]], **options: Unpack[_FieldOptions]) -> None: ...

class Not(Field[Any]):
    negated: Field[Any]
    def __init__(self, negated: Field[Any], **options: Unpack[_FieldOptions]) -> None: ...

class IfThenElse(Field[Any]):
    if_clause: Field[Any]
    then_clause: Field[Any]
    else_clause: Field[Any]
    def __init__(
        self,
        if_clause: Field[Any],
        then_clause: Field[Any] | None = None,
        else_clause: Field[Any] | None = None,
        **options: Unpack[_FieldOptions],
    ) -> None: ...
