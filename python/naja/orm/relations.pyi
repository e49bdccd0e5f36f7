from collections.abc import Iterable
from typing import Any, Generic, overload

from typing_extensions import Self, TypeVar

from .models import BaseModel, QuerySet

M = TypeVar("M", default=Any)

class ManyToMany(Generic[M]):
    to: Any
    through: Any
    related_name: str | None
    model: Any
    name: str
    def __init__(
        self,
        to: type[M] | str,
        *,
        through: type[BaseModel] | str | None = None,
        related_name: str | None = None,
    ) -> None: ...
    @property
    def target(self) -> type[M]: ...
    @overload
    def __get__(self, instance: None, owner: Any) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: Any) -> Links[M]: ...

class Links(QuerySet[M]):
    @property
    def queryset(self) -> QuerySet[M]: ...
    @property
    def loaded(self) -> list[M] | None: ...
    async def add(self, *others: M | Any, **values: Any) -> None: ...
    async def remove(self, *others: M | Any) -> None: ...
    async def clear(self) -> None: ...
    async def set(self, others: Iterable[M | Any]) -> None: ...
