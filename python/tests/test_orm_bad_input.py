"""naja.orm: what cannot be is refused with words that name the model, the field, and what was probably meant."""

import asyncio
import datetime
import decimal
import enum

import pytest
from orm_places import lite, mariadb_of_module, place  # noqa: F401: fixtures

from naja import databases, orm, typesystem


class Status(enum.Enum):
    DRAFT = 1


def product(place):
    class Product(orm.Model):
        registry = place.registry
        fields = {
            "id": orm.Integer(primary_key=True),
            "name": orm.String(max_length=10),
            "rating": orm.Integer(minimum=1, maximum=5, default=3),
            "price": orm.Decimal(max_digits=5, decimal_places=2, allow_null=True),
            "status": orm.Enum(Status, default=Status.DRAFT),
            "made": orm.DateTime(allow_null=True),
            "ok": orm.Boolean(default=True),
            "uuid": orm.UUID(allow_null=True),
            "shop": orm.ForeignKey("Shop", allow_null=True),
        }

    class Shop(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "name": orm.Text()}

    return Product, Shop


@pytest.mark.parametrize(
    "lookup, words",
    [
        ("nmae", "Product has no field `nmae`; did you mean `name`? (there are id, name, rating"),
        ("whatever", "Product has no field `whatever` (there are id, name"),
        ("shop__nam", "Shop has no field `nam` (in `shop__nam`); did you mean `name`? (there are id, name)"),
        ("sohp__name", "Product has no field `sohp` (in `sohp__name`); did you mean `shop`?"),
        ("name__icontians", "Product.name is no relation, and `icontians` is no lookup; did you mean `name__icontains`?"),
        ("name__regex", "Product.name is no relation, and `regex` is no lookup (there are exact, iexact"),
        ("name__id__gt", "Product.name is no relation"),
        ("shop__name__in__gt", "Shop.name is no relation"),
        ("", "Product has no field ``"),
        ("__", "Product has no field ``"),
        ("name__", "Product.name is no relation"),
        ("id; DROP TABLE product", "Product has no field `id; DROP TABLE product`"),
        ("x" * 5000, "Product has no field `xxx"),
    ],
)
def test_names_that_are_not_there(lite, lookup, words):
    Product, _ = product(lite)
    for narrow in (Product.objects.filter, Product.objects.exclude):
        with pytest.raises(orm.FieldError) as caught:
            narrow(**{lookup: 1})
        assert str(caught.value).startswith(words), str(caught.value)
        # The original raises a KeyError.
        assert isinstance(caught.value, KeyError)


def test_names_that_sort_and_select_nothing(lite):
    Product, _ = product(lite)
    with pytest.raises(orm.FieldError, match="Product has no field `nmae`; did you mean `name`"):
        Product.objects.order_by("-nmae")
    with pytest.raises(orm.FieldError, match="Product.name is no relation"):
        Product.objects.select_related("name")
    with pytest.raises(orm.FieldError, match="Product has no field `sohp`; did you mean `shop`"):
        Product.objects.select_related("sohp")
    with pytest.raises(ValueError, match="Invalid keyword nmae for class Product; did you mean name"):
        Product(nmae="a")


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("rating", "five", "Product.rating: 'five' is not a whole number"),
        ("rating", [1], "Product.rating takes a whole number, and not list"),
        ("rating", object(), "Product.rating takes a whole number, and not object"),
        ("name", 5, "Product.name takes text, and not int"),
        ("name", b"x", "Product.name takes text, and not bytes"),
        ("price", "dear", "Product.price: 'dear' is not a decimal number"),
        ("price", datetime.date.today(), "Product.price takes a decimal number, and not date"),
        ("status", "PUBLISHED", "Product.status takes a member of Status or its name, and not str"),
        ("status", 1, "Product.status takes a member of Status or its name, and not int"),
        ("made", 5, "Product.made takes a datetime, and not int"),
        ("made", "yesterday", "Product.made: 'yesterday' is not a datetime"),
        ("ok", "yes", "Product.ok takes True or False, and not str"),
        ("ok", 2, "Product.ok takes True or False, and not int"),
        ("uuid", "x" * 500, "Product.uuid: 'xxxxx"),
        ("uuid", 5, "Product.uuid takes a UUID, and not int"),
        ("name__in", "abc", "name__in takes a list of values, and not str"),
        ("name__in", 5, "name__in takes a list of values, and not int"),
        ("name__contains", 5, "name__contains looks for text, and not for int"),
        ("name__contains", None, "name__contains: only `exact` can ask for None"),
    ],
)
def test_values_that_cannot_be(lite, name, value, words):
    Product, _ = product(lite)
    with pytest.raises((TypeError, ValueError)) as caught:
        Product.objects.filter(**{name: value})
    assert str(caught.value).startswith(words), str(caught.value)
    assert len(str(caught.value)) < 200


def test_relations_take_their_own_model(lite):
    Product, Shop = product(lite)
    with pytest.raises(TypeError, match="Product.shop refers to Shop, and not to Product"):
        Product.objects.filter(shop=Product(id=1))
    with pytest.raises(ValueError, match="Product.shop: this Shop has no `id` yet"):
        Product.objects.filter(shop=Shop(name="x"))
    with pytest.raises(ValueError, match="Product.shop: 'a' is not a whole number"):
        Product.objects.filter(shop="a")


def test_values_of_rows_are_checked_and_errors_say_whose_they_are(place):
    Product, Shop = product(place)

    async def work():
        with pytest.raises(typesystem.ValidationError) as caught:
            await Product.objects.create(name="x" * 11, rating="many")
        assert dict(caught.value) == {"name": "Must have no more than 10 characters.", "rating": "Must be a number."}
        assert caught.value.__notes__ == ["These are values of Product: name was given str, rating was given str."]
        with pytest.raises(typesystem.ValidationError, match="This field is required"):
            await Product.objects.create()
        one = await Product.objects.create(name="a")
        with pytest.raises(typesystem.ValidationError, match="less than or equal"):
            await one.update(rating=6)
        with pytest.raises(typesystem.ValidationError, match="less than or equal"):
            await Product.objects.update(rating=6)
        with pytest.raises(TypeError, match="shop.* refers to Shop, and not to Product|Shop"):
            await one.update(shop=one)
        with pytest.raises(TypeError, match="Product.status takes a member of Status"):
            await Product.objects.create(name="a", status="x")
        assert await Product.objects.count() == 1
        assert (await Product.objects.get()) == one

    place.run(work)


def test_a_decimal_that_sqlite_would_round_is_refused(lite):
    Product, _ = product(lite)

    async def work():
        with pytest.raises(ValueError, match="Product.price: .*SQLite keeps 15"):
            await Product.objects.create(name="a", price=decimal.Decimal("1.2345678901234567"))

    lite.run(work)


def test_models_that_cannot_be(lite):
    registry = lite.registry
    with pytest.raises(ValueError, match="cannot be both True"):
        orm.DateTime(auto_now=True, auto_now_add=True)
    with pytest.raises(AssertionError, match="max_length is required"):
        orm.String()
    with pytest.raises(AssertionError, match="max_digits is required"):
        orm.Decimal(max_digits=None, decimal_places=2)
    with pytest.raises(ValueError, match="on_delete is one of CASCADE, RESTRICT, SET NULL"):
        orm.ForeignKey("Shop", on_delete="CASCADE; DROP TABLE shop")
    with pytest.raises(TypeError, match="Wrong.name is 5, and no field"):
        type("Wrong", (orm.Model,), {"registry": registry, "fields": {"name": 5}})

    class Keyless(orm.Model):
        pass

    with pytest.raises(AttributeError, match="Keyless has no registry"):
        Keyless.objects.filter()
    with pytest.raises(AttributeError, match="Keyless has no primary key"):
        Keyless.pkname

    class Lost(orm.Model):
        registry = lite.registry
        fields = {"id": orm.Integer(primary_key=True), "shop": orm.ForeignKey("Shpo")}

    class Shop(orm.Model):
        registry = lite.registry
        fields = {"id": orm.Integer(primary_key=True)}

    with pytest.raises(orm.FieldError, match="Lost.shop refers to 'Shpo', and the registry has no model of that name; did you mean 'Shop'"):
        Lost.objects.filter(shop=1)
    with pytest.raises(orm.FieldError, match="Lost.shop refers to 'Shpo'"):
        asyncio.run(lite.registry.create_all())


def test_a_model_without_a_key_is_told_so_where_one_is_needed(lite):
    class Line(orm.Model):
        registry = lite.registry
        fields = {"text": orm.Text()}

    async def work():
        with pytest.raises(AttributeError, match="Line has no primary key"):
            await Line.objects.create(text="a")
        await Line.objects.bulk_create([{"text": "a"}, {"text": "b"}])
        assert [one.text for one in await Line.objects.filter(text="a").all()] == ["a"]
        await Line.objects.filter(text="a").delete()
        with pytest.raises(AttributeError, match="Line has no primary key"):
            await Line.objects.limit(1).delete()

    lite.run(work)


def test_an_instance_without_a_key_has_no_row(lite):
    Product, _ = product(lite)

    async def work():
        for work in (Product().delete(), Product(name="a").update(name="b"), Product().load()):
            with pytest.raises(AttributeError, match="this Product has no `id`"):
                await work

    lite.run(work)


def test_enumerations_whose_names_are_no_names(lite):
    class Model(orm.Model):
        registry = lite.registry
        fields = {"id": orm.Integer(primary_key=True), "odd": orm.Enum(enum.Enum("Odd", {"a\\": 1}))}

    with pytest.raises(ValueError, match="cannot be the name of a value of an Enum column"):
        Model.objects.filter()


def test_what_the_database_refuses_is_its_own_exception(lite):
    import sqlite3

    Product, _ = product(lite)

    async def work():
        await lite.database.execute("DROP TABLE product")
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await Product.objects.all()

    lite.run(work)


def test_a_database_of_another_kind_is_refused():
    class Odd:
        url = databases.DatabaseURL("oracle://host/name")

    class Note(orm.Model):
        registry = orm.ModelRegistry(database=Odd())
        fields = {"id": orm.Integer(primary_key=True)}

    with pytest.raises(ValueError, match="databases of the kind .oracle."):
        Note.objects.filter()
