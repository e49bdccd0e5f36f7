"""Models, their registry, and the sets of their rows."""

import typing

from naja import typesystem
from naja._native import db

from . import _database
from .exceptions import FieldError, MultipleMatches, NoMatch
from .fields import ModelField
from .relations import ManyToMany

# What a dictionary of keywords may hold beside fields.
_PK = "pk"


class ModelRegistry:
    """The models of a database."""

    def __init__(self, database: typing.Any) -> None:
        self.database = database
        self.models: typing.Dict[str, typing.Any] = {}
        self._made_metadata: typing.Any = None

    @property
    def metadata(self) -> typing.Any:
        """SQLAlchemy's metadata, with a table for each model."""
        from . import _sqlalchemy

        return _sqlalchemy.metadata_of(self)

    @property
    def _metadata(self) -> typing.Any:
        if self._made_metadata is None:
            from . import _sqlalchemy

            self._made_metadata = _sqlalchemy.empty_metadata()
        return self._made_metadata

    async def create_all(self) -> None:
        """Makes the tables that are not there."""
        await self._define(drops=False)

    async def drop_all(self) -> None:
        """Takes away the tables of all models."""
        await self._define(drops=True)

    async def _define(self, drops: bool) -> None:
        models = list(self.models.values())
        mappers = [mapper_of(model) for model in models]
        links = [
            (mapper_of(model), name)
            for model in models
            for name, relation in model.many.items()
            if relation._owns_links()
        ]
        await _database.define(self.database, mappers, links, drops)

    def _add(self, name: str, model: typing.Any) -> None:
        self.models[name] = model
        # A model may be what a relation that was declared before leads to.
        for other in list(self.models.values()):
            for relation in list(other.many.values()):
                relation._connect()


class ModelMeta(type):
    def __new__(
        cls, name: str, bases: tuple, attrs: dict, registry: typing.Any = None, tablename: typing.Optional[str] = None
    ) -> typing.Any:
        if registry is not None:
            attrs["registry"] = registry
        if tablename is not None:
            attrs["tablename"] = tablename
        declare = next((base._declare for base in bases if hasattr(base, "_declare")), None)
        if declare is not None:
            declare(name, attrs)
        fields = attrs.get("fields", {})
        relations = {key: one for key, one in fields.items() if isinstance(one, ManyToMany)}
        if relations:
            attrs["fields"] = {key: one for key, one in fields.items() if key not in relations}
        many = {key: one for base in reversed(bases) for key, one in getattr(base, "many", {}).items()}
        attrs["many"] = {**many, **relations} if "fields" not in attrs or relations else relations
        attrs["_known_mapper"] = None
        model_class = super().__new__(cls, name, bases, attrs)

        for key, field in attrs.get("fields", {}).items():
            if not isinstance(field, ModelField):
                raise TypeError(f"{name}.{key} is {field!r}, and no field")
            field.registry = attrs.get("registry", getattr(model_class, "registry", None))
            field._place = f"{name}.{key}"
            if field.primary_key:
                model_class.pkname = key
        for key, relation in relations.items():
            relation._belong(model_class, key)
            setattr(model_class, key, relation)
        if "registry" in attrs:
            model_class.database = attrs["registry"].database
            if "tablename" not in attrs:
                model_class.tablename = name.lower()
            attrs["registry"]._add(name, model_class)
        return model_class

    def __init__(cls, name: str, bases: tuple, attrs: dict, **_kwargs: typing.Any) -> None:
        super().__init__(name, bases, attrs)

    @property
    def table(cls) -> typing.Any:
        """SQLAlchemy's table."""
        if "_table" not in cls.__dict__:
            cls._table = cls.build_table()
        return cls._table

    @property
    def columns(cls) -> typing.Any:
        """The columns of SQLAlchemy's table."""
        return cls.table.columns

    @property
    def pkname(cls) -> str:
        """The name of the primary key."""
        for one in cls.__mro__:
            if "_pkname" in one.__dict__:
                return one.__dict__["_pkname"]
        raise AttributeError(
            f"{cls.__name__} has no primary key; one of its fields has to be declared with primary_key=True"
        )

    @pkname.setter
    def pkname(cls, name: str) -> None:
        cls._pkname = name


def mapper_of(model: typing.Any) -> typing.Any:
    """What `naja._native` knows of a model, for the database that its registry has now."""
    known = model.__dict__.get("_known_mapper")
    registry = getattr(model, "registry", None)
    if registry is None:
        raise AttributeError(f"{model.__name__} has no registry; a model that is stored has `registry = ...`")
    database = registry.database
    if known is not None and known[0] is database:
        return known[1]
    dialect = database.url.dialect
    columns = [field._describe(name, dialect) for name, field in model.fields.items()]
    many = [(name, relation, *relation._columns()) for name, relation in model.many.items()]
    manner = (not _database.takes_plans(database), _database.reads_documents(database))
    mapper = db.orm.Mapper(model, model.tablename, columns, many, dialect, *manner, mapper_of, Model)
    model._known_mapper = (database, mapper)
    return mapper


def _refused(model: typing.Any, given: typing.Mapping, error: typing.Any) -> typing.Any:
    """An error of `typesystem` with a note: whose values they were, and what they were."""
    names = [key for key in dict(error) if key in given]
    words = ", ".join(f"{name} was given {type(given[name]).__name__}" for name in names)
    error.add_note(f"These are values of {model.__name__}{f': {words}' if words else ''}.")
    return error


def _checked(model: typing.Any, given: dict) -> dict:
    """The values for a new row."""
    if model._is_strict:
        model._refuse_unknown(given)
    if _PK in given and _PK not in model.fields:
        given = {(model.pkname if key == _PK else key): value for key, value in given.items()}
    try:
        values = _schema_of(model, None).validate(given)
    except typesystem.ValidationError as error:
        raise _refused(model, given, error) from None
    for key, field in model.fields.items():
        validator = field.validator
        if not validator.read_only:
            continue
        if key in given and field.primary_key and (model._is_strict or _is_given(field)):
            # A key that nobody makes is the program's to give.
            values[key] = validator.validate(given[key])
        elif validator.has_default():
            values[key] = validator.get_default_value()
    return values


def _is_given(field: ModelField) -> bool:
    return not field.validator.has_default() and field._kind not in ("integer", "biginteger")


def _changed(model: typing.Any, given: dict) -> dict:
    """The values for rows that are there."""
    if model._is_strict:
        model._refuse_unknown(given)
    names = tuple(key for key in model.fields if key in given)
    try:
        values = _schema_of(model, names).validate({key: given[key] for key in names})
    except typesystem.ValidationError as error:
        raise _refused(model, given, error) from None
    for key, field in model.fields.items():
        if getattr(field, "auto_now", False):
            values[key] = field.validator.get_default_value()
    return values


# How many schemas of parts of its fields a model keeps.
_SCHEMAS_MAX = 64


def _schema_of(model: typing.Any, names: typing.Optional[typing.Tuple[str, ...]]) -> typing.Any:
    """The schema of these fields, or of all."""
    schemas = model.__dict__.get("_schemas")
    if schemas is None:
        schemas = model._schemas = {}
    schema = schemas.get(names)
    if schema is None:
        if len(schemas) >= _SCHEMAS_MAX:
            schemas.clear()
        fields = model.fields if names is None else {name: model.fields[name] for name in names}
        schema = schemas[names] = typesystem.Schema({name: field.validator for name, field in fields.items()})
    return schema


class QuerySet:
    """Rows of a model. What narrows it gives a new set, and nothing is read before something is awaited."""

    ESCAPE_CHARACTERS = ["%", "_"]

    def __init__(
        self,
        model_cls: typing.Any = None,
        filter_clauses: typing.Any = None,
        select_related: typing.Any = None,
        limit_count: typing.Optional[int] = None,
        offset: typing.Optional[int] = None,
        order_by: typing.Any = None,
    ) -> None:
        self.model_cls = model_cls
        self.limit_count: typing.Optional[int] = None
        self.query_offset: typing.Optional[int] = None
        self._made: typing.Any = None
        self._prefetched: typing.Tuple[str, ...] = ()
        if filter_clauses or select_related or limit_count or offset or order_by:
            made = self
            for clause in filter_clauses or ():
                made = made.filter(clause)
            made = made.select_related(list(select_related or ())).order_by(*(order_by or ()))
            made = made.limit(limit_count).offset(offset)
            self.__dict__.update(made.__dict__)

    def __get__(self, instance: typing.Any, owner: typing.Any) -> typing.Any:
        return self.__class__(model_cls=owner)

    @property
    def database(self) -> typing.Any:
        return self.model_cls.registry.database

    @property
    def table(self) -> typing.Any:
        """SQLAlchemy's table."""
        return self.model_cls.table

    @property
    def schema(self) -> typing.Any:
        """The schema of `typesystem` that checks new rows."""
        return _schema_of(self.model_cls, None)

    @property
    def pkname(self) -> str:
        return self.model_cls.pkname

    @property
    def _query(self) -> typing.Any:
        return mapper_of(self.model_cls).query() if self._made is None else self._made

    def _with(self, query: typing.Any, **changes: typing.Any) -> typing.Any:
        other = self.__class__.__new__(self.__class__)
        other.__dict__.update(self.__dict__)
        other._made = query
        other.__dict__.update(changes)
        return other

    def filter(self, clause: typing.Any = None, **kwargs: typing.Any) -> typing.Any:
        """The rows that pass all tests, or a clause of SQLAlchemy's."""
        if clause is not None:
            return self._where(clause)
        return self._with(self._query.filter(kwargs, False))

    def exclude(self, clause: typing.Any = None, **kwargs: typing.Any) -> typing.Any:
        """The rows that do not pass all tests. A clause of SQLAlchemy's means what it means in `filter`."""
        if clause is not None:
            return self._where(clause)
        return self._with(self._query.filter(kwargs, True))

    def _where(self, clause: typing.Any) -> typing.Any:
        from . import _sqlalchemy

        pieces, values = _sqlalchemy.written(clause, self.database.url.dialect)
        return self._with(self._query.written(pieces, values))

    def search(self, term: typing.Any) -> typing.Any:
        """The rows that have a text in one of their columns of text."""
        return self._with(self._query.search(str(term))) if term else self

    def order_by(self, *order_by: str) -> typing.Any:
        """Sorted by columns; a name with `-` in front sorts the largest first."""
        return self._with(self._query.order(list(order_by)))

    def select_related(self, related: typing.Any) -> typing.Any:
        """With the rows that relations lead to, by their names: one or several."""
        names = list(related) if isinstance(related, (list, tuple)) else [related]
        return self._with(self._query.related(names))

    def prefetch_related(self, *names: str) -> typing.Any:
        """With the rows that relations to many lead to: one query more for each name."""
        for name in names:
            if name not in self.model_cls.many:
                raise FieldError(f"{self.model_cls.__name__} has no relation to many `{name}`")
        return self._with(self._query, _prefetched=(*self._prefetched, *names))

    def limit(self, limit_count: typing.Optional[int]) -> typing.Any:
        """So many rows at most; 0 and None mean all, as in the original."""
        return self._with(self._query.limit(limit_count or None), limit_count=limit_count)

    def offset(self, offset: typing.Optional[int]) -> typing.Any:
        """Without so many rows at the start."""
        return self._with(self._query.offset(offset or None), query_offset=offset)

    async def exists(self) -> bool:
        """Whether there is a row."""
        return bool(await _database.fetch_one(self.database, *self._query.exists()))

    async def count(self) -> int:
        """How many rows there are."""
        return await _database.fetch_one(self.database, *self._query.count())

    async def _read(self, limit: typing.Optional[int] = None) -> list:
        rows = await _database.fetch_all(self.database, *self._query.select(limit))
        for name in self._prefetched:
            await self.model_cls.many[name]._prefetch(rows)
        return rows

    async def all(self, **kwargs: typing.Any) -> list:
        """Every row."""
        return await (self.filter(**kwargs) if kwargs else self)._read()

    async def get(self, **kwargs: typing.Any) -> typing.Any:
        """The one row; raises `NoMatch` or `MultipleMatches`."""
        rows = await (self.filter(**kwargs) if kwargs else self)._read(2)
        if not rows:
            raise NoMatch()
        if len(rows) > 1:
            raise MultipleMatches()
        return rows[0]

    async def first(self, **kwargs: typing.Any) -> typing.Any:
        """The first row, or None."""
        rows = await (self.filter(**kwargs) if kwargs else self)._read(1)
        return rows[0] if rows else None

    async def create(self, **kwargs: typing.Any) -> typing.Any:
        """Stores a new row; its instance."""
        model = self.model_cls
        pkname = model.pkname
        values = _checked(model, kwargs)
        plan, bound = mapper_of(model).insert(values)
        instance = model(**values)
        key = await _database.insert(self.database, plan, bound)
        if pkname not in values:
            instance.pk = key
        return instance

    async def bulk_create(self, objs: typing.List[typing.Dict]) -> None:
        """Stores new rows, all of them or none."""
        rows = [_checked(self.model_cls, dict(one)) for one in objs]
        if rows:
            await _database.execute_many(self.database, mapper_of(self.model_cls).insert_many(rows))

    async def delete(self) -> None:
        """Removes the rows."""
        await _database.execute(self.database, *self._query.delete())

    async def update(self, **kwargs: typing.Any) -> None:
        """Changes the rows."""
        values = _changed(self.model_cls, kwargs)
        if values:
            await _database.execute(self.database, *self._query.update(values))

    async def get_or_create(
        self, defaults: typing.Dict[str, typing.Any], **kwargs: typing.Any
    ) -> typing.Tuple[typing.Any, bool]:
        """The row, or a new one of the same values and the defaults; and whether it is new."""
        try:
            return await self.get(**kwargs), False
        except NoMatch:
            return await self.create(**{**self._own(kwargs), **defaults}), True

    async def update_or_create(
        self, defaults: typing.Dict[str, typing.Any], **kwargs: typing.Any
    ) -> typing.Tuple[typing.Any, bool]:
        """The row, changed to the defaults, or a new one of the same values and the defaults; and whether it is new."""
        try:
            instance = await self.get(**kwargs)
        except NoMatch:
            return await self.create(**{**self._own(kwargs), **defaults}), True
        await instance.update(**defaults)
        return instance, False

    def _own(self, kwargs: typing.Dict[str, typing.Any]) -> typing.Dict[str, typing.Any]:
        """Without lookups, which are no values."""
        return {key: value for key, value in kwargs.items() if key in self.model_cls.fields or key == _PK}


class Model(metaclass=ModelMeta):
    """A row. A subclass has a `registry` and `fields`, one of them with `primary_key=True`."""

    objects = QuerySet()
    fields: typing.Dict[str, ModelField] = {}
    many: typing.Dict[str, ManyToMany] = {}
    # Whether names that it does not have are refused where rows are made and changed.
    _is_strict = False

    def __init__(self, **kwargs: typing.Any) -> None:
        if _PK in kwargs:
            kwargs[type(self).pkname] = kwargs.pop(_PK)
        elif self._is_strict:
            self._fill(kwargs)
        fields = self.fields
        for key, value in kwargs.items():
            if key not in fields:
                near = db.orm.nearest(key, list(fields))
                meant = f"; did you mean {near}?" if near else ""
                raise ValueError(f"Invalid keyword {key} for class {type(self).__name__}{meant}")
            setattr(self, key, value)

    @property
    def pk(self) -> typing.Any:
        """The primary key's value."""
        return getattr(self, type(self).pkname)

    @pk.setter
    def pk(self, value: typing.Any) -> None:
        setattr(self, type(self).pkname, value)

    @property
    def pkname(self) -> str:
        return type(self).pkname

    @property
    def table(self) -> typing.Any:
        """SQLAlchemy's table."""
        return type(self).table

    @classmethod
    def build_table(cls) -> typing.Any:
        """SQLAlchemy's table, made again."""
        from . import _sqlalchemy

        return _sqlalchemy.table_of(cls)

    async def update(self, **kwargs: typing.Any) -> None:
        """Changes the row, and the instance with it."""
        values = _changed(type(self), kwargs)
        if values:
            await _database.execute(self.database, *self._row().update(values))
        for key, value in values.items():
            setattr(self, key, value)

    async def delete(self) -> None:
        """Removes the row."""
        await _database.execute(self.database, *self._row().delete())

    async def load(self) -> None:
        """Reads the row again; raises `NoMatch` where it is gone."""
        rows = await _database.fetch_all(self.database, *self._row().select(1))
        if not rows:
            raise NoMatch(f"{self} is not stored any more")
        for key in self.fields:
            setattr(self, key, getattr(rows[0], key))

    def _row(self) -> typing.Any:
        """The query for the row of this instance."""
        model = type(self)
        key = getattr(self, model.pkname, None)
        if key is None:
            raise AttributeError(f"this {model.__name__} has no `{model.pkname}`, so that no row is its own")
        return mapper_of(model).query().filter({model.pkname: key}, False)

    def __setattr__(self, key: str, value: typing.Any) -> None:
        field = self.fields.get(key)
        if field is not None:
            # A key becomes an instance of which nothing else is known.
            value = field.expand_relationship(value)
        super().__setattr__(key, value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __str__(self) -> str:
        model = type(self)
        return f"{model.__name__}({model.pkname}={getattr(self, model.pkname, None)})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(getattr(self, key, None) == getattr(other, key, None) for key in self.fields)

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def _refuse_unknown(cls, given: typing.Iterable[str]) -> None:
        for key in given:
            if key not in cls.fields and key != _PK:
                near = db.orm.nearest(key, list(cls.fields))
                meant = f"; did you mean `{near}`?" if near else ""
                raise TypeError(f"{cls.__name__} has no field `{key}`{meant}")

    def _fill(self, kwargs: dict) -> None:
        """Adds what stands in for values that are missing."""
        for key, field in self.fields.items():
            validator = field.validator
            if key not in kwargs and not validator.read_only and validator.has_default():
                kwargs[key] = validator.get_default_value()
