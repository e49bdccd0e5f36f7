"""naja.orm: rows that refer to others, one to one, one to many, and many to many."""

import pytest
from orm_places import lite, mariadb_of_module, place  # noqa: F401: fixtures

from naja import orm


def music(place):
    class Label(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "name": orm.String(max_length=50)}

    class Album(orm.Model):
        registry = place.registry
        fields = {
            "id": orm.Integer(primary_key=True),
            "name": orm.String(max_length=50),
            "label": orm.ForeignKey(Label, allow_null=True, on_delete=orm.SET_NULL),
            "genres": orm.ManyToMany("Genre", related_name="albums"),
        }

    class Genre(orm.Model):
        registry = place.registry
        fields = {
            "id": orm.Integer(primary_key=True),
            "name": orm.String(max_length=50),
            "year": orm.Integer(default=2000),
            "label": orm.ForeignKey(Label, allow_null=True),
        }

    class Track(orm.Model):
        registry = place.registry
        fields = {
            "id": orm.Integer(primary_key=True),
            "title": orm.String(max_length=50),
            "album": orm.ForeignKey("Album", on_delete=orm.CASCADE),
            "cover_of": orm.ForeignKey("Track", allow_null=True),
        }

    return Label, Album, Genre, Track


async def filled(models):
    Label, Album, Genre, Track = models
    labels = [await Label.objects.create(name=name) for name in ("EMI", "Sub Pop")]
    albums = [
        await Album.objects.create(name="Malibu", label=labels[0]),
        await Album.objects.create(name="Fantasies", label=labels[1]),
        await Album.objects.create(name="Demo"),
    ]
    for number, album in enumerate(albums):
        for track in range(2):
            await Track.objects.create(title=f"t{number}{track}", album=album)
    return labels, albums


def titles(tracks):
    return sorted(track.title for track in tracks)


def test_a_relation_is_known_by_its_key_until_it_is_loaded(place):
    models = music(place)
    _, Album, _, Track = models

    async def work():
        _, albums = await filled(models)
        track = await Track.objects.get(title="t00")
        assert isinstance(track.album, Album) and track.album.pk == albums[0].pk
        assert not hasattr(track.album, "name") and track.cover_of.pk is None
        await track.album.load()
        assert track.album.name == "Malibu" and track.album.label.pk == 1
        track = await Track.objects.select_related("album__label").get(title="t00")
        assert (track.album.name, track.album.label.name) == ("Malibu", "EMI")
        # By its key too.
        other = await Track.objects.create(title="x", album=albums[1].pk)
        assert other.album.pk == albums[1].pk
        await other.update(album=albums[0])
        assert (await Track.objects.get(title="x")).album.pk == albums[0].pk

    place.run(work)


def test_rows_without_a_relation_are_found_with_it(place):
    models = music(place)
    _, Album, _, Track = models

    async def work():
        await filled(models)
        albums = await Album.objects.select_related("label").order_by("id").all()
        assert [album.label.pk for album in albums] == [1, 2, None]
        assert [getattr(album.label, "name", None) for album in albums] == ["EMI", "Sub Pop", None]
        tracks = await Track.objects.select_related("album__label").order_by("id").all()
        assert [track.album.name for track in tracks] == ["Malibu"] * 2 + ["Fantasies"] * 2 + ["Demo"] * 2
        assert await Album.objects.select_related("label").count() == 3
        assert [album.name for album in await Album.objects.filter(label=None).all()] == ["Demo"]
        assert [album.name for album in await Album.objects.filter(label__name=None).all()] == ["Demo"]

    place.run(work)


def test_rows_are_found_by_what_they_refer_to(place):
    models = music(place)
    _, Album, _, Track = models

    async def work():
        labels, albums = await filled(models)
        assert titles(await Track.objects.filter(album=albums[0]).all()) == ["t00", "t01"]
        assert titles(await Track.objects.filter(album__in=albums[:2], album__name__icontains="AN").all()) == ["t10", "t11"]
        found = await Track.objects.filter(album__label__name="Sub Pop").all()
        assert titles(found) == ["t10", "t11"] and found[0].album.label.name == "Sub Pop"
        assert titles(await Track.objects.filter(album__label=labels[0]).all()) == ["t00", "t01"]
        assert titles(await Track.objects.filter(album__label__pk__gt=1).all()) == ["t10", "t11"]
        assert titles(await Track.objects.exclude(album__name="Malibu").all()) == ["t10", "t11", "t20", "t21"]
        ordered = await Track.objects.order_by("-album__name", "title").all()
        assert [track.title for track in ordered] == ["t00", "t01", "t10", "t11", "t20", "t21"]
        assert not hasattr(ordered[0].album, "name")

    place.run(work)


def test_one_table_may_be_joined_more_than_once(place):
    models = music(place)
    _, Album, _, Track = models

    async def work():
        await filled(models)
        original = await Track.objects.get(title="t00")
        cover = await Track.objects.create(title="cover", album=3, cover_of=original)
        found = await Track.objects.select_related(["album", "cover_of__album"]).get(pk=cover.pk)
        assert (found.album.name, found.cover_of.title, found.cover_of.album.name) == ("Demo", "t00", "Malibu")
        assert titles(await Track.objects.filter(cover_of__album__name="Malibu", album__name="Demo").all()) == ["cover"]

    place.run(work)


def test_rows_are_changed_and_removed_by_what_they_refer_to(place):
    models = music(place)
    _, Album, _, Track = models

    async def work():
        await filled(models)
        await Track.objects.filter(album__name="Malibu").update(title="changed")
        assert titles(await Track.objects.all()) == ["changed", "changed", "t10", "t11", "t20", "t21"]
        await Track.objects.filter(album__label__name="Sub Pop").delete()
        assert titles(await Track.objects.all()) == ["changed", "changed", "t20", "t21"]

    place.run(work)


def test_what_a_removal_does(place):
    if place.dialect == "sqlite":
        pytest.skip("SQLite checks references only where a program asks it to")
    models = music(place)
    Label, Album, Genre, Track = models

    async def work():
        labels, albums = await filled(models)
        await albums[0].delete()
        assert titles(await Track.objects.all()) == ["t10", "t11", "t20", "t21"]
        await labels[1].delete()
        assert (await Album.objects.get(name="Fantasies")).label.pk is None

    place.run(work)


def test_one_to_one_belongs_to_one(place):
    class Profile(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "site": orm.Text()}

    class Person(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "profile": orm.OneToOne(Profile)}

    async def work():
        profile = await Profile.objects.create(site="x")
        await Person.objects.create(profile=profile)
        with pytest.raises(Exception, match="(?i)unique|duplicate"):
            await Person.objects.create(profile=profile)

    place.run(work)


def test_models_may_refer_to_each_other(place):
    class Chicken(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "egg": orm.ForeignKey("Egg", allow_null=True)}

    class Egg(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "chicken": orm.ForeignKey("Chicken", allow_null=True)}

    async def work():
        egg = await Egg.objects.create()
        chicken = await Chicken.objects.create(egg=egg)
        await egg.update(chicken=chicken)
        found = await Egg.objects.select_related("chicken__egg").get()
        assert found.chicken.egg.pk == egg.pk
        await egg.update(chicken=None)
        await chicken.delete()

    place.run(work)


def test_rows_are_linked_to_many(place):
    models = music(place)
    _, Album, Genre, _ = models

    async def work():
        _, albums = await filled(models)
        jazz, soul, rock = [await Genre.objects.create(name=name) for name in ("jazz", "soul", "rock")]
        malibu, fantasies, demo = albums
        await malibu.genres.add(jazz, soul)
        await malibu.genres.add(soul)
        await fantasies.genres.add(rock.pk)

        async def names(rows):
            return sorted(one.name for one in await rows.all())

        assert await names(malibu.genres) == ["jazz", "soul"]
        assert await names(rock.albums) == ["Fantasies"]
        assert await malibu.genres.count() == 2 and await demo.genres.exists() is False
        assert (await malibu.genres.order_by("-name").first()).name == "soul"
        assert await names(malibu.genres.filter(name__icontains="AZ")) == ["jazz"]
        await jazz.albums.add(demo)
        assert await names(jazz.albums) == ["Demo", "Malibu"]
        await malibu.genres.remove(jazz, rock)
        assert await names(malibu.genres) == ["soul"]
        await malibu.genres.set([rock, jazz])
        assert await names(malibu.genres) == ["jazz", "rock"]
        folk = await malibu.genres.create(name="folk")
        assert await names(folk.albums) == ["Malibu"]
        await malibu.genres.clear()
        assert await names(malibu.genres) == [] and await Genre.objects.count() == 4
        await malibu.genres.add()

    place.run(work)


def test_rows_are_found_by_what_they_are_linked_to(place):
    models = music(place)
    Label, Album, Genre, Track = models

    async def work():
        labels, (malibu, fantasies, demo) = await filled(models)
        jazz = await Genre.objects.create(name="jazz", year=1900, label=labels[0])
        soul = await Genre.objects.create(name="soul", year=1960)
        rock = await Genre.objects.create(name="rock", year=1950, label=labels[1])
        await malibu.genres.add(jazz, soul)
        await fantasies.genres.add(soul, rock)

        async def names(**kwargs):
            return [one.name for one in await Album.objects.filter(**kwargs).order_by("id").all()]

        assert await names(genres=soul) == await names(genres__id=soul.pk) == ["Malibu", "Fantasies"]
        assert await names(genres__in=[jazz, rock]) == ["Malibu", "Fantasies"]
        assert await names(genres__name__icontains="o") == ["Malibu", "Fantasies"]
        # Both are asked of one linked row; two calls ask for two.
        assert await names(genres__name="soul", genres__year=1960) == ["Malibu", "Fantasies"]
        assert await names(genres__name="soul", genres__year=1900) == []
        two = Album.objects.filter(genres__name="soul").filter(genres__year=1900)
        assert [one.name for one in await two.all()] == ["Malibu"]
        assert await names(genres__label__name="Sub Pop") == ["Fantasies"]
        assert await names(genres__label__name="EMI", name="Malibu", genres__name="jazz") == ["Malibu"]
        assert [one.name for one in await Album.objects.exclude(genres=soul).all()] == ["Demo"]
        assert [one.name for one in await Genre.objects.filter(albums__label=labels[1]).order_by("name").all()] == ["rock", "soul"]
        # From there to there, through both.
        assert await names(genres__albums__name="Fantasies") == ["Malibu", "Fantasies"]
        assert titles(await Track.objects.filter(album__genres__name="jazz").all()) == ["t00", "t01"]
        assert await Album.objects.filter(genres__name__icontains="o").count() == 2
        await Track.objects.filter(album__genres=rock).delete()
        assert await Track.objects.count() == 4

    place.run(work)


def test_linked_rows_are_loaded_for_all_at_once(place):
    models = music(place)
    _, Album, Genre, _ = models

    async def work():
        _, (malibu, fantasies, demo) = await filled(models)
        jazz, soul = [await Genre.objects.create(name=name) for name in ("jazz", "soul")]
        await malibu.genres.add(jazz, soul)
        await fantasies.genres.add(soul)
        albums = await Album.objects.prefetch_related("genres").order_by("id").all()
        assert [[one.name for one in album.genres.loaded] for album in albums] == [["jazz", "soul"], ["soul"], []]
        assert [one.name for one in await albums[0].genres.all()] == ["jazz", "soul"]
        assert malibu.genres.loaded is None
        # What was loaded is forgotten when the links are changed.
        await albums[0].genres.remove(jazz)
        assert albums[0].genres.loaded is None
        assert [one.name for one in await albums[0].genres.all()] == ["soul"]
        genres = await Genre.objects.prefetch_related("albums").get(name="soul")
        assert [one.name for one in genres.albums.loaded] == ["Malibu", "Fantasies"]

    place.run(work)


def test_links_may_be_a_model_of_the_program(place):
    class Person(orm.Model):
        registry = place.registry
        fields = {
            "id": orm.Integer(primary_key=True),
            "name": orm.Text(),
            "groups": orm.ManyToMany("Group", through="Membership", related_name="people"),
            "friends": orm.ManyToMany("Person"),
        }

    class Group(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "name": orm.Text()}

    class Membership(orm.Model):
        registry = place.registry
        fields = {
            "id": orm.Integer(primary_key=True),
            "person": orm.ForeignKey(Person),
            "group": orm.ForeignKey(Group),
            "role": orm.Text(),
        }

    async def work():
        ada, bob = await Person.objects.create(name="Ada"), await Person.objects.create(name="Bob")
        club = await Group.objects.create(name="club")
        await ada.groups.add(club, role="head")
        await club.people.add(bob, role="member")
        await ada.groups.add(club, role="again")
        assert [one.name for one in await club.people.order_by("name").all()] == ["Ada", "Bob"]
        assert (await Membership.objects.get(person=ada)).role == "head"
        assert await Membership.objects.count() == 2
        await club.people.remove(ada)
        assert [one.name for one in await Person.objects.filter(groups__name="club").all()] == ["Bob"]
        # A model may be linked to itself; such links have a direction.
        await ada.friends.add(bob)
        assert [one.name for one in await ada.friends.all()] == ["Bob"] and await bob.friends.count() == 0
        with pytest.raises(TypeError, match="Person.friends has no `through`"):
            await ada.friends.add(bob, since=1)

    place.run(work)


def test_more_links_than_a_statement_has_places(place):
    models = music(place)
    _, Album, Genre, _ = models

    async def work():
        album = await Album.objects.create(name="all")
        await Genre.objects.bulk_create([{"name": str(number)} for number in range(1000)])
        genres = await Genre.objects.all()
        await album.genres.add(*genres)
        assert await album.genres.count() == 1000
        (found,) = await Album.objects.prefetch_related("genres").all()
        assert len(found.genres.loaded) == 1000
        await album.genres.remove(*genres[:999])
        assert await album.genres.count() == 1

    place.run(work)


def test_mistakes_with_links_are_told(lite):
    Label, Album, Genre, Track = music(lite)
    with pytest.raises(orm.FieldError, match="Album.genres has many values"):
        Album.objects.select_related("genres")
    with pytest.raises(orm.FieldError, match="no relation to many `genre`"):
        Album.objects.prefetch_related("genre")
    with pytest.raises(ValueError, match="Album has no `id` yet"):
        Album(name="x").genres.queryset
    with pytest.raises(AttributeError, match="Album.genres is changed by"):
        Album(id=1).genres = []
    with pytest.raises(TypeError, match="genres has many values"):
        Album.objects.filter(genres=None)
    with pytest.raises(TypeError, match="genres refers to Genre, and not to Label"):
        Album.objects.filter(genres=Label(id=1))
    with pytest.raises(ValueError, match="cannot be `name` to Genre"):

        class Other(orm.Model):
            registry = lite.registry
            fields = {"id": orm.Integer(primary_key=True), "genres": orm.ManyToMany(Genre, related_name="name")}
