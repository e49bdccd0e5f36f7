"""Relations to many: rows of two models, linked by rows of a table between them."""

import types
import typing

from naja._native import db

from . import _database
from .fields import model_named

# So many keys stand in one statement.
_KEYS_A_STATEMENT = 400


class ManyToMany:
    """Rows of another model, in any number; the attribute of an instance is its `Links`.

    `through` is a model of the program's own for the links, with a `ForeignKey` to each side; else there is a table
    that nobody sees. `related_name` is the name of the other direction, on the other model.
    """

    __class_getitem__ = classmethod(types.GenericAlias)

    # The direction that was declared, where this is the other one.
    _of: typing.Optional["ManyToMany"] = None

    def __init__(
        self, to: typing.Any, *, through: typing.Any = None, related_name: typing.Optional[str] = None
    ) -> None:
        self.to = to
        self.through = through
        self.related_name = related_name
        self.model: typing.Any = None
        self.name = ""
        self._is_connected = False

    def _belong(self, model: typing.Any, name: str) -> None:
        if self.model is not None:
            raise ValueError(f"{model.__name__}.{name} is {self.model.__name__}.{self.name} already")
        self.model = model
        self.name = name

    @property
    def _place(self) -> str:
        return f"{self.model.__name__}.{self.name}"

    def _named(self, model: typing.Any) -> typing.Any:
        return model_named(self.model.registry, model, self._place) if isinstance(model, str) else model

    @property
    def target(self) -> typing.Any:
        """The model that it leads to."""
        return self._named(self.to)

    def _connect(self) -> None:
        """Gives the other model the other direction, once it is there."""
        if self._is_connected or self._of is not None or self.related_name is None:
            return
        if isinstance(self.to, str) and self.to not in self.model.registry.models:
            return
        self._is_connected = True
        target, name = self.target, self.related_name
        if name in target.fields or name in target.many or hasattr(target, name):
            raise ValueError(f"{self._place} cannot be `{name}` to {target.__name__}: it has something of that name")
        other = ManyToMany(self.model, through=self.through)
        other._of = self
        other._belong(target, name)
        target.many = {**target.many, name: other}
        setattr(target, name, other)
        target._known_mapper = None

    def _owns_links(self) -> bool:
        return self.through is None and self._of is None

    def _columns(self) -> typing.Tuple[str, str, str]:
        """The table of links, its column for the model's own key, and that for the other's."""
        if self._of is not None:
            links, other, own = self._of._columns()
            return links, own, other
        if self.through is None:
            own, other = self.model.__name__.lower(), self.target.__name__.lower()
            if own == other:
                own, other = f"from_{own}", f"to_{other}"
            return f"{self.model.tablename}_{self.name}", own, other
        through = self._named(self.through)
        own = self._key_in(through, self.model, None)
        return through.tablename, own, self._key_in(through, self.target, own)

    def _key_in(self, through: typing.Any, model: typing.Any, but: typing.Optional[str]) -> str:
        for name, field in through.fields.items():
            if field._kind == "relation" and field.target is model and name != but:
                return name
        raise ValueError(f"{self._place}: {through.__name__} has no ForeignKey to {model.__name__}")

    def __get__(self, instance: typing.Any, owner: typing.Any) -> typing.Any:
        return self if instance is None else Links(instance, self)

    def __set__(self, instance: typing.Any, value: typing.Any) -> None:
        raise AttributeError(f"{self._place} is changed by `await ....{self.name}.set([...])`")

    @property
    def _memory(self) -> str:
        """Where an instance keeps what was loaded."""
        return f"_loaded_{self.name}"

    async def _prefetch(self, instances: list) -> None:
        """Loads the rows that all of these instances are linked to."""
        from .models import mapper_of

        database, pairs = self.model.registry.database, []
        keys = list({instance.pk: None for instance in instances})
        for start in range(0, len(keys), _KEYS_A_STATEMENT):
            some = keys[start : start + _KEYS_A_STATEMENT]
            pairs += await _database.fetch_all(database, *mapper_of(self.model).pairs(self.name, some))
        found = {}
        others = list({other: None for _, other in pairs})
        for start in range(0, len(others), _KEYS_A_STATEMENT):
            some = others[start : start + _KEYS_A_STATEMENT]
            found.update({one.pk: one for one in await self.target.objects.filter(pk__in=some).all()})
        linked: typing.Dict[typing.Any, list] = {}
        for own, other in pairs:
            if other in found:
                linked.setdefault(own, []).append(found[other])
        for instance in instances:
            instance.__dict__[self._memory] = list(linked.get(instance.pk, ()))


class Links:
    """The rows that one row is linked to: a set of rows that can be linked and unlinked."""

    def __init__(self, instance: typing.Any, relation: ManyToMany) -> None:
        self._instance = instance
        self._relation = relation

    @property
    def _key(self) -> typing.Any:
        model = self._relation.model
        key = getattr(self._instance, model.pkname, None)
        if key is None:
            # No AttributeError, for which `__getattr__` would stand in.
            raise ValueError(f"this {model.__name__} has no `{model.pkname}` yet, so that nothing is linked to it")
        return key

    @property
    def queryset(self) -> typing.Any:
        """The linked rows, as any other set of rows."""
        from .models import mapper_of

        relation = self._relation
        target = relation.target
        linked = mapper_of(target).linked(mapper_of(relation.model), relation.name, self._key)
        return target.objects._with(linked)

    @property
    def loaded(self) -> typing.Optional[list]:
        """What `prefetch_related` has loaded; None where it has not."""
        return self._instance.__dict__.get(self._relation._memory)

    def __getattr__(self, name: str) -> typing.Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.queryset, name)

    async def all(self, **kwargs: typing.Any) -> list:
        """The linked rows; without a query, where they were loaded before."""
        loaded = self.loaded
        return list(loaded) if loaded is not None and not kwargs else await self.queryset.all(**kwargs)

    async def add(self, *others: typing.Any, **values: typing.Any) -> None:
        """Links rows, given as instances or keys; those that are linked stay so.

        `values` are for the other fields of a `through` model.
        """
        relation = self._relation
        if relation.through is not None:
            through = relation._named(relation.through)
            _, own, other_name = relation._columns()
            async with relation.model.registry.database.transaction():
                for other in others:
                    pair = {own: self._instance, other_name: other}
                    if not await through.objects.filter(**pair).exists():
                        await through.objects.create(**pair, **values)
        elif values:
            raise TypeError(f"{relation._place} has no `through` model, whose fields could have values")
        else:
            await self._change("add", others)
        self._forget()

    async def remove(self, *others: typing.Any) -> None:
        """Ends links to rows, given as instances or keys; the rows stay."""
        await self._change("remove", others)
        self._forget()

    async def clear(self) -> None:
        """Ends all links; the rows stay."""
        await self._run("clear", [])
        self._forget()

    async def set(self, others: typing.Iterable[typing.Any]) -> None:
        """Links these rows and no others."""
        others = list(others)
        async with self._relation.model.registry.database.transaction():
            await self.clear()
            await self.add(*others)

    async def create(self, **kwargs: typing.Any) -> typing.Any:
        """Stores a new row and links it."""
        async with self._relation.model.registry.database.transaction():
            other = await self._relation.target.objects.create(**kwargs)
            await self.add(other)
        return other

    async def _change(self, how: str, others: typing.Sequence[typing.Any]) -> None:
        if len(others) <= _KEYS_A_STATEMENT:
            if others:
                await self._run(how, list(others))
            return
        async with self._relation.model.registry.database.transaction():
            for start in range(0, len(others), _KEYS_A_STATEMENT):
                await self._run(how, list(others[start : start + _KEYS_A_STATEMENT]))

    async def _run(self, how: str, others: list) -> None:
        from .models import mapper_of

        relation = self._relation
        statement = mapper_of(relation.model).link(relation.name, how, self._key, others)
        await _database.execute(relation.model.registry.database, *statement)

    def _forget(self) -> None:
        self._instance.__dict__.pop(self._relation._memory, None)

    def __repr__(self) -> str:
        return f"<Links {self._relation._place} of {self._instance}>"
