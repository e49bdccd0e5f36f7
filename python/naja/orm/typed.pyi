from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, TypeVar, overload

from typing_extensions import dataclass_transform

from .fields import ModelField
from .models import BaseModel, ModelRegistry

T = TypeVar("T")

# A primary key, and what sets itself to now, is not given by the program.
@overload
def field(
    *, primary_key: Literal[True], default: T, init: Literal[False] = False, **options: Any
) -> T: ...
@overload
def field(
    *, primary_key: Literal[True], default_factory: Callable[[], T], init: Literal[False] = False, **options: Any
) -> T: ...
@overload
def field(*, primary_key: Literal[True], init: Literal[False] = False, **options: Any) -> Any: ...
@overload
def field(*, auto_now: Literal[True], init: Literal[False] = False, **options: Any) -> Any: ...
@overload
def field(*, auto_now_add: Literal[True], init: Literal[False] = False, **options: Any) -> Any: ...
@overload
def field(*, default: T, init: bool = True, **options: Any) -> T: ...
@overload
def field(*, default_factory: Callable[[], T], init: bool = True, **options: Any) -> T: ...
@overload
def field(*, init: bool = True, **options: Any) -> Any: ...

@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class TypedModel(BaseModel):
    fields: ClassVar[Mapping[str, ModelField]]
    def __init_subclass__(
        cls, *, registry: ModelRegistry | None = None, tablename: str | None = None
    ) -> None: ...
