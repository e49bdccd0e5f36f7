from .constants import CASCADE as CASCADE, RESTRICT as RESTRICT, SET_NULL as SET_NULL
from .exceptions import FieldError as FieldError, MultipleMatches as MultipleMatches, NoMatch as NoMatch
from .fields import (
    JSON as JSON,
    URL as URL,
    UUID as UUID,
    BigInteger as BigInteger,
    Boolean as Boolean,
    Date as Date,
    DateTime as DateTime,
    Decimal as Decimal,
    Email as Email,
    Enum as Enum,
    Float as Float,
    ForeignKey as ForeignKey,
    Integer as Integer,
    IPAddress as IPAddress,
    OneToOne as OneToOne,
    String as String,
    Text as Text,
    Time as Time,
)
from .models import Model as Model, ModelRegistry as ModelRegistry, QuerySet as QuerySet
from .relations import Links as Links, ManyToMany as ManyToMany
from .typed import TypedModel as TypedModel, field as field

__version__: str
