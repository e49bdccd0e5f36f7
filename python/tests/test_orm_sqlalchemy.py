"""A program that uses SQLAlchemy's objects with naja.orm: its tables, its operators, its types."""

import importlib
import subprocess
import sys

import pytest
from orm_places import make_place, mariadb_of_module  # noqa: F401: fixtures
from originals import importable

from naja import orm

SQLALCHEMY = ("sqlalchemy==2.1.9", "typing_extensions==4.15.0")
LOADED = ("naja.orm._sqlalchemy", "naja.orm.sqlalchemy_fields", "naja.databases._sqlalchemy")


@pytest.fixture(scope="module")
def sqlalchemy(tmp_path_factory):
    forget = ("sqlalchemy", "typing_extensions")
    with importable(tmp_path_factory.mktemp("sqlalchemy"), *SQLALCHEMY, forget=forget):
        # What naja made of another SQLAlchemy is of no use with this one.
        for name in LOADED:
            importlib.sys.modules.pop(name, None)
        import sqlalchemy

        yield sqlalchemy
        for name in LOADED:
            importlib.sys.modules.pop(name, None)


@pytest.fixture(params=["sqlite", "sqlite by text", "postgresql", "mariadb"])
def place(request, tmp_path, monkeypatch, sqlalchemy):
    return make_place(request, tmp_path, monkeypatch, request.param)


def music(place):
    class Album(orm.Model):
        tablename = "albums"
        registry = place.registry
        fields = {
            "id": orm.Integer(primary_key=True),
            "name": orm.String(max_length=50, index=True),
            "uuid": orm.UUID(allow_null=True),
            "rank": orm.Integer(default=0),
            "tags": orm.ManyToMany("Tag"),
        }

    class Tag(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "name": orm.String(max_length=50, unique=True)}

    class Track(orm.Model):
        registry = place.registry
        fields = {
            "id": orm.Integer(primary_key=True),
            "album": orm.ForeignKey("Album", on_delete=orm.CASCADE),
            "Title": orm.Text(),
        }

    return Album, Track


def test_clauses_narrow_like_lookups(place, sqlalchemy):
    Album, Track = music(place)

    async def work():
        for rank, name in enumerate(("George", "100%", "it's: a :name_1", "x")):
            album = await Album.objects.create(name=name, rank=rank)
            await Track.objects.create(album=album, Title=f"T{rank}")
        c = Album.columns

        async def ranks(rows):
            return [one.rank for one in await rows.order_by("rank").all()]

        objects = Album.objects
        assert await ranks(objects.filter(c.name == "George")) == [0]
        assert await ranks(objects.filter(c.name.startswith("G")).filter(c.name.endswith("e"))) == [0]
        assert await ranks(objects.filter(c.name.contains("%", autoescape=True))) == [1]
        assert await ranks(objects.filter(c.rank.in_([1, 2, 9]), )) == [1, 2]
        assert await ranks(objects.filter(sqlalchemy.or_(c.rank == 0, c.name == "x"))) == [0, 3]
        assert await ranks(objects.filter(c.name == "it's: a :name_1").filter(rank=2)) == [2]
        assert await ranks(objects.filter(c.name.is_not(None), ).exclude(rank__gt=1)) == [0, 1]
        # As in the original, a clause is never turned round.
        assert await ranks(objects.exclude(c.name != "x")) == [0, 1, 2]
        assert await ranks(objects.filter(c.name.ilike("GEORGE"))) == [0]
        assert await ranks(objects.filter(sqlalchemy.func.length(c.name) + c.rank > 10)) == [2]
        joined = Track.objects.select_related("album").filter(Album.columns.name == "x")
        assert [track.Title for track in await joined.all()] == ["T3"]
        assert [one.Title for one in await Track.objects.filter(Track.columns.Title == "T1").all()] == ["T1"]
        await objects.filter(c.rank >= 2).update(name="y")
        assert await objects.filter(c.name == "y").count() == 2
        await Track.objects.filter(Track.columns.Title.in_(["T0", "T1"])).delete()
        assert await Track.objects.count() == 2 and await objects.filter(c.rank == 7).exists() is False

    place.run(work)


def test_tables_are_queried_by_expressions(place, sqlalchemy):
    Album, Track = music(place)

    async def work():
        import uuid

        album = await Album.objects.create(name="a", uuid=uuid.UUID(int=7))
        row = await place.database.fetch_one(Album.objects.table.select())
        assert (row["name"], row["uuid"], album.table is Album.table) == ("a", uuid.UUID(int=7), True)
        await place.database.execute(Album.table.insert().values(name="b", uuid=uuid.UUID(int=8), rank=1))
        assert (await Album.objects.get(uuid=uuid.UUID(int=8))).name == "b"

    place.run(work)


def test_metadata_has_every_table(place, sqlalchemy):
    music(place)
    metadata = place.registry.metadata
    assert set(metadata.tables) == {"albums", "tag", "track", "albums_tags"}
    assert metadata is place.registry.metadata
    track = metadata.tables["track"]
    (reference,) = track.c.album.foreign_keys
    assert (reference.column.table.name, reference.ondelete) == ("albums", "CASCADE")
    assert [key.name for key in metadata.tables["albums_tags"].primary_key] == ["album", "tag"]


def test_sqlalchemy_would_make_the_same_tables(sqlalchemy, request, tmp_path, monkeypatch):
    place = make_place(request, tmp_path, monkeypatch, "sqlite")
    music(place)

    async def work():
        pass

    place.run(work, leaves=True)
    ours, theirs = (sqlalchemy.create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("rows", "theirs"))
    place.registry.metadata.create_all(theirs)

    def described(engine):
        inspector = sqlalchemy.inspect(engine)
        found = {}
        for table in sorted(inspector.get_table_names()):
            columns = [(one["name"], str(one["type"]), one["nullable"], one["primary_key"]) for one in inspector.get_columns(table)]
            references = [
                (one["constrained_columns"], one["referred_table"], one["options"]) for one in inspector.get_foreign_keys(table)
            ]
            indexes = sorted((one["name"], one["column_names"]) for one in inspector.get_indexes(table))
            unique = [one["column_names"] for one in inspector.get_unique_constraints(table)]
            found[table] = (columns, sorted(references, key=str), indexes, unique)
        return found

    assert described(ours) == described(theirs)


def test_a_field_of_the_program_s_own(place, sqlalchemy):
    class Reversed(sqlalchemy.TypeDecorator):
        impl = sqlalchemy.String(20)
        cache_ok = True

        def process_bind_param(self, value, dialect):
            return None if value is None else value[::-1]

        process_result_value = process_bind_param

    class Backwards(orm.Text):
        def get_column_type(self):
            return Reversed()

    class Word(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "text": Backwards(allow_null=True)}

    async def work():
        await Word.objects.create(text="abc")
        await Word.objects.create()
        assert (await Word.objects.get(text="abc")).text == "abc"
        assert await place.database.fetch_val("SELECT text FROM word WHERE text IS NOT NULL") == "cba"
        assert await Word.objects.filter(text=None).count() == 1

    place.run(work)


def test_what_is_no_clause_is_refused(place, sqlalchemy):
    Album, _ = music(place)
    with pytest.raises(TypeError, match="lookups by name, or of SQLAlchemy's clauses, and not of 'name = 1'"):
        Album.objects.filter("name = 1")


def test_without_sqlalchemy_nothing_needs_it(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import asyncio, sys
import naja.databases as databases
import naja.orm as orm

models = orm.ModelRegistry(database=databases.Database("sqlite:///{tmp_path}/rows.db"))

class Note(orm.Model):
    registry = models
    fields = {{"id": orm.Integer(primary_key=True), "text": orm.String(max_length=9), "uuid": orm.UUID(allow_null=True)}}

async def main():
    await models.create_all()
    await Note.objects.create(text="a")
    print((await Note.objects.get(text__icontains="A")).id)
    try:
        Note.table
    except ImportError as error:
        print(error)

asyncio.run(main())
print("sqlalchemy" in sys.modules)
"""
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "1" and done.stdout.splitlines()[-1] == "False"
    assert "install `sqlalchemy`" in done.stdout
