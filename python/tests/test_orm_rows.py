"""naja.orm: rows are stored, found, changed and removed as models say."""

import datetime
import decimal
import enum
import ipaddress
import uuid

import pytest
from orm_places import lite, mariadb_of_module, place  # noqa: F401: fixtures

from naja import orm, typesystem


class Colour(enum.Enum):
    RED = "r"
    LIGHT_BLUE = "lb"


def note(place):
    class Note(orm.Model):
        tablename = "notes"
        registry = place.registry
        fields = {
            "id": orm.Integer(primary_key=True),
            "text": orm.String(max_length=100),
            "rank": orm.Integer(default=0, minimum=0),
            "done": orm.Boolean(default=False),
        }

    return Note


def everything(place):
    class Thing(orm.Model):
        registry = place.registry
        fields = {
            "id": orm.BigInteger(primary_key=True),
            "name": orm.String(max_length=20, index=True),
            "text": orm.Text(allow_blank=True),
            "count": orm.Integer(allow_null=True),
            "big": orm.BigInteger(default=2**40),
            "share": orm.Float(allow_null=True),
            "ok": orm.Boolean(allow_null=True),
            "day": orm.Date(allow_null=True),
            "moment": orm.DateTime(allow_null=True),
            "time": orm.Time(allow_null=True),
            "data": orm.JSON(allow_null=True),
            "price": orm.Decimal(max_digits=7, decimal_places=2, allow_null=True),
            "uuid": orm.UUID(allow_null=True, unique=True),
            "address": orm.IPAddress(allow_null=True),
            "mail": orm.Email(max_length=50, allow_null=True),
            "url": orm.URL(max_length=50, allow_null=True),
            "colour": orm.Enum(Colour, default=Colour.RED),
        }

    return Thing


VALUES = {
    "text": "ü\n'\"; DROP TABLE things; --",
    "count": -7,
    "big": 2**62,
    "share": 0.1,
    "ok": True,
    "day": datetime.date(2024, 2, 29),
    "moment": datetime.datetime(2024, 2, 29, 12, 30, 1, 5),
    "time": datetime.time(1, 2, 3, 4),
    "data": {"a": [1, None, {"b": "ü"}]},
    "price": decimal.Decimal("12345.60"),
    "uuid": uuid.UUID("01175cde-c18f-4a13-a492-21bd9e1cb01b"),
    "address": ipaddress.ip_address("2001:db8::1"),
    "mail": "a@example.org",
    "url": "https://example.org/x",
    "colour": Colour.LIGHT_BLUE,
}


def test_every_type_comes_back_as_it_was_stored(place):
    Thing = everything(place)

    async def work():
        made = await Thing.objects.create(name="full", **VALUES)
        await Thing.objects.create(name="empty")
        full, empty = await Thing.objects.order_by("id").all()
        assert full == made
        for name, value in VALUES.items():
            found = getattr(full, name)
            assert (found, type(found)) == (value, type(value)), name
        assert (empty.text, empty.big, empty.colour) == ("", 2**40, Colour.RED)
        others = set(VALUES) - {"text", "big", "colour"}
        assert {name: getattr(empty, name) for name in others} == dict.fromkeys(others)
        # Each of them finds its row again.
        for name, value in VALUES.items():
            if name == "data" and place.dialect == "postgresql":
                # PostgreSQL compares no documents.
                continue
            assert [one.id for one in await Thing.objects.filter(**{name: value}).all()] == [full.id], name
        await empty.update(**{**VALUES, "uuid": uuid.UUID(int=1)})
        assert (await Thing.objects.get(pk=empty.pk)).data == VALUES["data"]
        assert empty.price == VALUES["price"]

    place.run(work)


def test_documents_of_every_kind(place):
    Thing = everything(place)

    async def work():
        for document in ("text", "", 5, 1.5, True, [], {}, [None], None):
            made = await Thing.objects.create(name="x", data=document)
            found = (await Thing.objects.get(id=made.id)).data
            assert (found, type(found)) == (document, type(document))

    place.run(work)


def test_values_of_lookups_may_be_texts(place):
    Thing = everything(place)

    async def work():
        made = await Thing.objects.create(name="full", **VALUES)
        for name in ("count", "day", "moment", "time", "uuid", "address", "price"):
            value = VALUES[name]
            text = value.isoformat() if hasattr(value, "isoformat") else str(value)
            assert await Thing.objects.get(**{name: text}) == made, name
        assert await Thing.objects.get(colour="LIGHT_BLUE") == made
        assert await Thing.objects.filter(ok=1).count() == 1

    place.run(work)


def test_every_lookup(place):
    Note = note(place)

    async def work():
        for rank, text in enumerate(("Apple", "apple pie", "100%", "a_b", "back\\slash", "sla/sh")):
            await Note.objects.create(text=text, rank=rank)

        async def found(**kwargs):
            return [one.rank for one in await Note.objects.filter(**kwargs).order_by("rank").all()]

        assert await found(text="Apple") == await found(text__exact="Apple") == [0]
        assert await found(text__iexact="APPLE") == [0]
        assert await found(text__icontains="APP") == [0, 1]
        assert await found(text__contains="pie") == [1]
        for part, ranks in (("%", [2]), ("_", [3]), ("\\", [4]), ("/", [5]), ("a_b", [3]), ("%%", [])):
            assert await found(text__contains=part) == await found(text__icontains=part) == ranks
        assert await found(text__iexact="a%") == []
        assert await found(rank__in=[1, 3, 99]) == await found(rank__in={3, 1}) == [1, 3]
        assert await found(rank__in=[]) == await found(rank__in=(None,)) == []
        assert await found(rank__gt=4) == [5] and await found(rank__gte=4) == [4, 5]
        assert await found(rank__lt=1) == [0] and await found(rank__lte=1) == [0, 1]
        assert await found(rank__gte=1, rank__lt=3, done=False) == [1, 2]
        assert await found(rank__contains=5) == [5]
        assert await found() == [0, 1, 2, 3, 4, 5]
        first = await Note.objects.get(rank=0)
        assert await found(pk=first.pk) == await found(pk__in=[first]) == await found(id=first) == [0]
        excluded = await Note.objects.exclude(text="Apple", rank=0).exclude(rank__gte=3).order_by("-rank").all()
        assert [one.rank for one in excluded] == [2, 1]

    place.run(work)


def test_null_is_looked_for_as_such(place):
    Thing = everything(place)

    async def work():
        await Thing.objects.create(name="a", count=1)
        await Thing.objects.create(name="b")
        assert [one.name for one in await Thing.objects.filter(count=None).all()] == ["b"]
        assert [one.name for one in await Thing.objects.exclude(count=None).all()] == ["a"]
        with pytest.raises(TypeError, match="count__gt"):
            Thing.objects.filter(count__gt=None)

    place.run(work)


def test_a_set_of_rows_is_never_changed_by_another(place):
    Note = note(place)

    async def work():
        await Note.objects.bulk_create([{"text": str(number), "rank": number} for number in range(10)])
        low = Note.objects.filter(rank__lt=5)
        even = low.filter(rank__in=[0, 2, 4, 6])
        assert (await low.count(), await even.count(), await Note.objects.count()) == (5, 3, 10)
        ordered = low.order_by("-rank")
        assert [one.rank for one in await ordered.limit(2).offset(1).all()] == [3, 2]
        assert [one.rank for one in await ordered.offset(3).all()] == [1, 0]
        assert len(await ordered.limit(0).all()) == len(await ordered.limit(None).all()) == 5
        assert await low.limit(3).count() == 3
        assert await low.limit(3).offset(4).count() == 1
        assert await low.offset(5).exists() is False
        assert (await ordered.first()).rank == 4

    place.run(work)


def test_search_looks_into_every_text(place):
    Thing = everything(place)

    async def work():
        await Thing.objects.create(name="Needle")
        await Thing.objects.create(name="x", text="a needle")
        await Thing.objects.create(name="y", mail="needle@example.org")
        await Thing.objects.create(name="100%")
        assert await Thing.objects.search("NEEDLE").count() == 3
        assert await Thing.objects.search("%").count() == 1
        assert await Thing.objects.search("").count() == await Thing.objects.search(None).count() == 4

    place.run(work)


def test_get_wants_one_row(place):
    Note = note(place)

    async def work():
        with pytest.raises(orm.NoMatch):
            await Note.objects.get(text="a")
        for _ in range(2):
            await Note.objects.create(text="a")
        with pytest.raises(orm.MultipleMatches):
            await Note.objects.get(text="a")
        assert await Note.objects.first(text="b") is None
        assert (await Note.objects.first(text="a")).id == 1

    place.run(work)


def test_rows_are_made_or_found(place):
    Note = note(place)

    async def work():
        one, created = await Note.objects.get_or_create(text="a", defaults={"rank": 3})
        assert created and one.rank == 3
        same, created = await Note.objects.get_or_create(text__iexact="A", defaults={"rank": 4})
        assert not created and same == one
        same, created = await Note.objects.update_or_create(text="a", defaults={"rank": 5})
        assert not created and same.rank == 5 == (await Note.objects.get()).rank
        other, created = await Note.objects.update_or_create(text="b", rank__gt=7, defaults={"rank": 6})
        assert created and (other.text, other.rank) == ("b", 6)

    place.run(work)


def test_many_rows_are_stored_at_once_or_not_at_all(place):
    Note = note(place)

    async def work():
        await Note.objects.bulk_create([])
        rows = [{"text": f"n{number}", "rank": number} for number in range(1234)]
        await Note.objects.bulk_create(rows)
        assert [one.text for one in await Note.objects.order_by("id").all()] == [row["text"] for row in rows]
        with pytest.raises(typesystem.ValidationError):
            await Note.objects.bulk_create([{"text": "good"}, {"text": "x" * 101}])
        assert await Note.objects.count() == 1234

    place.run(work)


def test_many_rows_of_which_one_is_refused_by_the_database(place):
    Thing = everything(place)

    async def work():
        same = uuid.UUID(int=3)
        rows = [{"name": str(number)} for number in range(300)]
        with pytest.raises(Exception, match="(?i)unique|duplicate"):
            await Thing.objects.bulk_create([*rows, {"name": "a", "uuid": same}, {"name": "b", "uuid": same}])
        assert await Thing.objects.count() == 0

    place.run(work)


def test_rows_are_changed_and_removed_in_sets(place):
    Note = note(place)

    async def work():
        await Note.objects.bulk_create([{"text": str(number), "rank": number} for number in range(6)])
        await Note.objects.filter(rank__gte=3).update(done=True)
        assert await Note.objects.filter(done=True).count() == 3
        await Note.objects.order_by("-rank").limit(1).update(text="last")
        assert (await Note.objects.get(text="last")).rank == 5
        await Note.objects.order_by("rank").limit(2).delete()
        assert [one.rank for one in await Note.objects.order_by("rank").all()] == [2, 3, 4, 5]
        # Nothing to change is nothing to do.
        await Note.objects.update()
        await Note.objects.update(unknown=5)
        await Note.objects.exclude(rank=4).delete()
        assert [one.rank for one in await Note.objects.all()] == [4]

    place.run(work)


def test_an_instance_is_changed_loaded_and_removed(place):
    Note = note(place)

    async def work():
        one, other = await Note.objects.create(text="a"), await Note.objects.create(text="b")
        await one.update(text="  c ", rank="7", id=99)
        assert (one.id, one.text, one.rank) == (1, "c", 7)
        assert await Note.objects.get(id=1) == one
        again = Note(pk=1)
        assert not hasattr(again, "text")
        await again.load()
        assert again == one
        await one.delete()
        assert await Note.objects.all() == [other]
        with pytest.raises(orm.NoMatch, match=r"Note\(id=1\)"):
            await one.load()

    place.run(work)


def test_an_auto_now_follows_every_change(place):
    class Page(orm.Model):
        registry = place.registry
        fields = {
            "id": orm.Integer(primary_key=True),
            "text": orm.Text(),
            "made": orm.DateTime(auto_now_add=True),
            "changed": orm.DateTime(auto_now=True),
            "day": orm.Date(auto_now=True),
        }

    async def work():
        page = await Page.objects.create(text="a", made="2000-01-01 00:00:00")
        assert page.made.year > 2000
        before = page.changed
        await page.update(text="b")
        assert page.changed > before
        stored = await Page.objects.get()
        assert (stored.changed, stored.made, stored.day) == (page.changed, page.made, page.day)
        await Page.objects.filter(id=page.id).update(text="c")
        assert (await Page.objects.get()).changed > page.changed

    place.run(work)


def test_keys_of_other_kinds(place):
    class Country(orm.Model):
        registry = place.registry
        fields = {"code": orm.String(primary_key=True, max_length=2), "name": orm.Text()}

    class Token(orm.Model):
        registry = place.registry
        fields = {"key": orm.UUID(primary_key=True, default=uuid.uuid4), "country": orm.ForeignKey(Country)}

    async def work():
        # Nobody makes such a key, so that it is the program's to give.
        germany = await Country.objects.create(code="DE", name="Germany")
        await Country.objects.create(pk="FR", name="France")
        assert {one.pk for one in await Country.objects.all()} == {"DE", "FR"}
        token = await Token.objects.create(country=germany, key=uuid.UUID(int=5))
        assert isinstance(token.key, uuid.UUID) and token.key.int != 5
        found = await Token.objects.select_related("country").get(pk=token.pk)
        assert (found.country.name, found.pk) == ("Germany", token.pk)
        await Token.objects.bulk_create([{"country": "FR"}, {"country": germany}])
        assert await Token.objects.filter(country__in=["FR"]).count() == 1

    place.run(work)


def test_a_key_that_is_counted_is_the_database_s(place):
    Note = note(place)

    async def work():
        one = await Note.objects.create(id=77, text="a")
        assert one.id == 1

    place.run(work)


def test_tables_are_made_where_they_are_not_there(place):
    Note = note(place)

    async def work():
        await Note.objects.create(text="a")
        await place.registry.create_all()
        assert place.database.is_connected
        assert await Note.objects.count() == 1
        everything(place)
        await place.registry.create_all()
        assert await place.registry.models["Thing"].objects.count() == 0
        await place.registry.drop_all()
        await place.registry.drop_all()
        await place.registry.create_all()
        assert await Note.objects.count() == 0

    place.run(work)


def test_names_are_never_sql(place):
    class Odd(orm.Model):
        tablename = "odd\"; DROP TABLE notes; -- `x` 'y'"
        registry = place.registry
        fields = {
            "id": orm.Integer(primary_key=True),
            "select": orm.Integer(),
            "a\"b`c'd": orm.Text(index=True),
            "größe": orm.Integer(default=1),
        }

    async def work():
        await Odd.objects.create(**{"select": 1, "a\"b`c'd": "x"})
        found = await Odd.objects.filter(**{"a\"b`c'd": "x", "select": 1, "größe__gte": 1}).order_by("-a\"b`c'd").all()
        assert [getattr(one, "a\"b`c'd") for one in found] == ["x"]
        await Odd.objects.filter(**{"a\"b`c'd__icontains": "X"}).update(select=2)
        assert (await Odd.objects.get()).select == 2

    place.run(work)


def test_a_class_that_makes_its_instances_itself_is_asked(place):
    made = []

    class Loud(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "text": orm.Text(), "parent": orm.ForeignKey("Loud", allow_null=True)}

        def __init__(self, **kwargs):
            made.append(sorted(kwargs))
            super().__init__(**kwargs)

    class Upper(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "text": orm.Text()}

        def __setattr__(self, name, value):
            super().__setattr__(name, value.upper() if name == "text" else value)

    async def work():
        first = await Loud.objects.create(text="a")
        second = await Loud.objects.create(text="b", parent=first)
        made.clear()
        found = await Loud.objects.get(pk=second.pk)
        assert found.parent.pk == first.pk and ["id", "parent", "text"] in made
        await Upper.objects.create(text="b")
        assert (await Upper.objects.get()).text == "B"

    place.run(work)


def test_what_an_instance_is_to_others(lite):
    Note = note(lite)
    assert list(Note.fields) == ["id", "text", "rank", "done"]
    assert (Note.tablename, Note.pkname, Note(pk=3).pkname) == ("notes", "id", "id")
    assert str(Note(id=3)) == "Note(id=3)" and repr(Note(id=3)) == "<Note: Note(id=3)>"
    assert repr(Note()) == "<Note: Note(id=None)>"
    assert Note(id=1) == Note(id=1) != Note(id=1, text="a")
    assert Note(id=1) != 1
    assert isinstance(Note.objects.schema.fields["text"], typesystem.String)
    assert Note.database is lite.database
    one = Note(id=1)
    one.pk = 2
    assert one.id == 2


def test_rows_of_a_manager_of_the_program(place):
    class Done(orm.QuerySet):
        def done(self):
            return self.filter(done=True)

    class Task(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "done": orm.Boolean(default=False)}
        objects = Done()

    async def work():
        await Task.objects.bulk_create([{}, {"done": True}])
        assert await Task.objects.order_by("id").done().limit(5).count() == 1

    place.run(work)


def test_queries_of_one_shape_share_a_plan(lite):
    from naja.orm.models import mapper_of

    Note = note(lite)

    def plan(**kwargs):
        return mapper_of(Note).query().filter(kwargs, False).select(2)[0].statement

    assert plan(id=1) is plan(id=2) is not plan(id=None)
    assert plan(id__in=[1, 2]) is plan(id__in=[3, 4]) is not plan(id__in=[1])
    assert plan(id=1, rank=2) is plan(id=3, rank=4) is not plan(rank=2, done=True)
    one, two = Note.objects.limit(5).offset(1)._query, Note.objects.limit(9).offset(7)._query
    assert one.select()[0].statement is two.select()[0].statement is not one.count()[0].statement
    # However many shapes there are, only some are kept.
    for count in range(3000):
        plan(id__in=range(count % 1500))
    assert plan(id=1) is plan(id=2)


def test_a_program_in_memory(monkeypatch):
    import asyncio

    from naja import databases

    database = databases.Database("sqlite:///:memory:")
    models = orm.ModelRegistry(database=database)

    class Note(orm.Model):
        registry = models
        fields = {"id": orm.Integer(primary_key=True), "text": orm.Text()}

    async def work():
        async with database:
            # A database in memory is its connection's.
            async with database.connection():
                await models.create_all()
                await Note.objects.create(text="a")
                assert await Note.objects.count() == 1

    asyncio.run(work())
