"""Random operations on models, told as lines of JSON: `orm_operations.py naja|original DATABASE SEED COUNT`.

Both sides get the same operations, since these depend on the seed and on the answers alone.
"""

import asyncio
import datetime
import decimal
import enum
import json
import random
import sys
import uuid

if sys.argv[1] == "naja":
    import naja.databases as databases
    import naja.orm as orm
else:
    import databases
    import orm

WORDS = ("Malibu", "malibu", "The Bird", "100% cotton", "snake_case", "ünïcode", "O'Brien", "", "  padded  ", "x")


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


def models_of(registry):
    names = {"id": orm.Integer(primary_key=True), "name": orm.String(max_length=20)}
    Owner = type("Owner", (orm.Model,), {"registry": registry, "tablename": "owners", "fields": names})
    fields = {
        "id": orm.Integer(primary_key=True),
        "owner": orm.ForeignKey(Owner),
        "name": orm.String(max_length=20, allow_blank=True),
        "note": orm.Text(allow_null=True),
        "count": orm.Integer(minimum=-50, maximum=50, default=0),
        "share": orm.Float(allow_null=True),
        "ok": orm.Boolean(default=False),
        "day": orm.Date(allow_null=True),
        "at": orm.DateTime(allow_null=True),
        "time": orm.Time(allow_null=True),
        "data": orm.JSON(default={}),
        "price": orm.Decimal(max_digits=7, decimal_places=2, allow_null=True),
        "uuid": orm.UUID(allow_null=True),
        "colour": orm.Enum(Colour, default=Colour.RED),
    }
    Item = type("Item", (orm.Model,), {"registry": registry, "tablename": "items", "fields": fields})
    return Owner, Item


class Operations:
    def __init__(self, owner, item, seed):
        self.owner, self.item = owner, item
        self.random = random.Random(seed)

    def value(self, name):
        draw = self.random
        return {
            "name": lambda: draw.choice(WORDS),
            "note": lambda: draw.choice([None, *WORDS]),
            "count": lambda: draw.choice([draw.randint(-60, 60), "7", 3.0]),
            "share": lambda: draw.choice([None, draw.uniform(-9, 9), 2, "0.5"]),
            "ok": lambda: draw.choice([True, False, "true", 0]),
            "day": lambda: draw.choice([None, datetime.date(2020, 1, draw.randint(1, 28)), "2021-02-03"]),
            "at": lambda: draw.choice([None, datetime.datetime(2020, 1, draw.randint(1, 28), 5, 6, 7, draw.randint(0, 9))]),
            "time": lambda: draw.choice([None, datetime.time(draw.randint(0, 23), 5)]),
            "data": lambda: draw.choice([{}, {"a": [1, None]}, [], [True], "text"]),
            "price": lambda: draw.choice([None, decimal.Decimal(draw.randint(-99999, 99999)) / 100]),
            "uuid": lambda: draw.choice([None, uuid.UUID(int=draw.randint(0, 9))]),
            "colour": lambda: draw.choice(list(Colour)),
        }[name]()

    def row(self):
        names = ["name", "note", "count", "share", "ok", "day", "at", "time", "data", "price", "uuid", "colour"]
        return {name: self.value(name) for name in names if self.random.random() < 0.7 or name == "name"}

    def lookups(self):
        draw = self.random
        part = lambda: draw.choice(["a", "M", "%", "_", "i", "e B", "'", "ü"])  # noqa: E731
        choices = [
            lambda: {"name": draw.choice(WORDS)},
            lambda: {"name__iexact": draw.choice(["MALIBU", "the bird", "X"])},
            lambda: {draw.choice(["name__contains", "name__icontains", "note__icontains"]): part()},
            lambda: {"count__gt": draw.randint(-50, 50)},
            lambda: {"count__gte": draw.randint(-50, 50), "ok": draw.random() < 0.5},
            lambda: {"count__in": [draw.randint(-50, 50) for _ in range(draw.randint(0, 5))]},
            lambda: {"share__lte": draw.uniform(-9, 9)},
            lambda: {"note": None},
            lambda: {"day__lt": datetime.date(2020, 1, draw.randint(1, 28))},
            lambda: {"at__gte": datetime.datetime(2020, 1, draw.randint(1, 28))},
            lambda: {"uuid": uuid.UUID(int=draw.randint(0, 9))},
            lambda: {"colour": draw.choice(list(Colour))},
            lambda: {"price__lt": decimal.Decimal(draw.randint(-999, 999))},
            lambda: {"owner__name__icontains": part()},
            lambda: {"owner__name": draw.choice(WORDS), "ok": True},
            lambda: {"owner": draw.randint(1, 4)},
            lambda: {"pk": draw.randint(1, 40)},
        ]
        return draw.choice(choices)()

    def joins(self, given):
        return any(name.startswith("owner__") for name in given)

    def rows(self, may_join=True):
        draw = self.random
        found, joins = self.item.objects, False
        for _ in range(draw.randint(0, 2)):
            given = self.lookups()
            if self.joins(given) and (joins or not may_join):
                continue
            joins |= self.joins(given)
            found = (found.exclude if draw.random() < 0.3 else found.filter)(**given)
        if not joins and may_join and draw.random() < 0.2:
            found = found.select_related("owner")
        if draw.random() < 0.2:
            found = found.search(draw.choice(["mal", "B", "", "x"]))
        return found.order_by(*draw.choice([("id",), ("-id",), ("name", "-id"), ("-count", "id")]))

    async def one(self):
        draw = self.random
        which = draw.random()
        if which < 0.3 or (which < 0.4 and not await self.item.objects.exists()):
            owner = await self.owner.objects.first(pk=draw.randint(1, 4))
            if owner is None:
                owner = await self.owner.objects.create(name=draw.choice(WORDS[:6]))
            return await self.item.objects.create(owner=owner, **self.row())
        if which < 0.5:
            found = self.rows()
            if draw.random() < 0.5:
                found = found.limit(draw.randint(1, 5))
            if draw.random() < 0.3:
                found = found.limit(9).offset(draw.randint(1, 5))
            return await draw.choice([found.all, found.first, found.count, found.exists])()
        if which < 0.6:
            return await self.rows().get()
        if which < 0.7:
            return await self.rows(may_join=False).update(**self.row())
        if which < 0.73:
            return await self.rows(may_join=False).filter(count__gt=draw.randint(0, 50)).delete()
        if which < 0.85:
            one = await self.rows().first()
            if one is None:
                return None
            await one.update(**self.row())
            await one.load()
            return one
        if which < 0.88:
            one = await self.rows().first()
            return await one.delete() if one is not None else None
        name = draw.choice(WORDS[:6])
        if which < 0.94:
            return await self.owner.objects.get_or_create(name=name, defaults={})
        return await self.owner.objects.update_or_create(name=name, defaults={"name": draw.choice(WORDS[:6])})


def plain(value):
    if isinstance(value, orm.Model):
        return {name: plain(getattr(value, name, "absent")) for name in value.fields}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return [type(value).__name__, repr(value)]


async def main(path, seed, count):
    database = databases.Database(f"sqlite:///{path}")
    registry = orm.ModelRegistry(database=database)
    operations = Operations(*models_of(registry), seed)
    await registry.create_all()
    async with database:
        for _ in range(count):
            try:
                answer = plain(await operations.one())
            except Exception as error:
                # Words of exceptions are compared where they are about values.
                words = str(error) if type(error).__name__ == "ValidationError" else ""
                answer = [type(error).__name__, words]
            print(json.dumps(answer), flush=True)


asyncio.run(main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
