"""naja.orm over a package `databases` that is not naja's: as with `--swap=orm` alone."""

import asyncio
import datetime
import uuid

import pytest
from originals import importable

from naja import orm

CURRENT = ("databases==0.9.0", "sqlalchemy==2.1.9", "aiosqlite==0.20.0", "typing_extensions==4.15.0")
OLD = ("databases==0.6.2", "sqlalchemy==1.4.41", "aiosqlite==0.17.0", "greenlet==3.5.6", "typing_extensions==4.15.0")


@pytest.fixture(scope="module", params=[CURRENT, OLD], ids=["current", "old"])
def databases(request, tmp_path_factory):
    forget = ("databases", "sqlalchemy", "aiosqlite", "typing_extensions", "greenlet")
    with importable(tmp_path_factory.mktemp("original"), *request.param, forget=forget):
        import databases

        yield databases


def test_models_work_over_the_original_databases(databases, tmp_path):
    database = databases.Database(f"sqlite:///{tmp_path}/rows.db")
    models = orm.ModelRegistry(database=database)

    class Album(orm.Model):
        registry = models
        fields = {
            "id": orm.Integer(primary_key=True),
            "name": orm.String(max_length=50),
            "key": orm.UUID(default=uuid.uuid4),
            "at": orm.DateTime(allow_null=True),
            "ok": orm.Boolean(default=True),
            "tags": orm.ManyToMany("Tag", related_name="albums"),
        }

    class Tag(orm.Model):
        registry = models
        fields = {"id": orm.Integer(primary_key=True), "name": orm.String(max_length=50)}

    class Track(orm.Model):
        registry = models
        fields = {"id": orm.Integer(primary_key=True), "album": orm.ForeignKey(Album), "name": orm.String(max_length=50)}

    async def work():
        await models.create_all()
        async with database:
            moment = datetime.datetime(2024, 1, 2, 3, 4, 5, 6)
            album = await Album.objects.create(name="it's: :p1 'quoted'", at=moment)
            assert await Album.objects.get(at=moment, ok=True, key=album.key) == album
            await Track.objects.bulk_create([{"album": album, "name": f"n{number}"} for number in range(120)])
            tracks = await Track.objects.select_related("album").filter(album__name__icontains="IT'S").all()
            assert len(tracks) == 120 and tracks[0].album == album and tracks[5].name == "n5"
            await album.tags.add(await Tag.objects.create(name="a"))
            (found,) = await Album.objects.filter(tags__name="a").prefetch_related("tags").all()
            assert [one.name for one in found.tags.loaded] == ["a"]
            await Track.objects.filter(album__name="x").delete()
            await Track.objects.exclude(name="n7").delete()
            assert await Track.objects.count() == 1 and await Album.objects.exists()
            await album.update(name="b")
            assert (await Album.objects.first()).name == "b"
        await models.drop_all()

    asyncio.run(work())
