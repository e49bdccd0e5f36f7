"""naja.orm's typed models: fields are annotations, at run time and to type checkers."""

import datetime
import decimal
import enum
import os
import pathlib
import subprocess
import sys
import textwrap
import uuid
from typing import Annotated, Any, ClassVar, Optional

import pytest
from orm_places import lite, mariadb_of_module, place  # noqa: F401: fixtures

import naja
from naja import orm, typesystem

CHECKERS = ("mypy==2.4.1", "ty==0.0.108")
SAMPLE = pathlib.Path(__file__).with_name("orm_typed_sample.py.txt")


class Kind(enum.Enum):
    LP = "lp"
    SINGLE = "single"


def music(place):
    class Label(orm.TypedModel, registry=place.registry):
        id: int = orm.field(primary_key=True)
        name: str = orm.field(max_length=50, unique=True)

    class Album(orm.TypedModel, registry=place.registry, tablename="albums"):
        id: uuid.UUID = orm.field(primary_key=True, default_factory=uuid.uuid4)
        title: str = orm.field(max_length=50, index=True)
        mail: Annotated[Optional[str], orm.Email(max_length=50)] = None
        label: "Label | None" = None
        kind: Kind = Kind.LP
        price: decimal.Decimal = orm.field(max_digits=5, decimal_places=2, default=decimal.Decimal("9.90"))
        released: Optional[datetime.date] = None
        made: datetime.datetime = orm.field(auto_now_add=True)
        data: dict[str, Any] = orm.field(default_factory=dict)
        notes: str = ""
        count: ClassVar[int] = 7
        _private: int = 3
        genres = orm.ManyToMany("Genre", related_name="albums")

    class Genre(orm.TypedModel, registry=place.registry):
        id: int = orm.field(primary_key=True)
        name: str
        albums: ClassVar[orm.ManyToMany[Album]]

    return Label, Album, Genre


def test_annotations_are_fields(lite):
    Label, Album, Genre = music(lite)
    kinds = {name: type(field).__name__ for name, field in Album.fields.items()}
    assert kinds == {
        "id": "UUID",
        "title": "String",
        "mail": "Email",
        "label": "ForeignKey",
        "kind": "Enum",
        "price": "Decimal",
        "released": "Date",
        "made": "DateTime",
        "data": "JSON",
        "notes": "Text",
    }
    assert (Album.pkname, Album.tablename, Album.count, Album._private) == ("id", "albums", 7, 3)
    assert Album.fields["label"].target is Label and Album.fields["label"].allow_null
    assert Album.fields["title"].index and Label.fields["name"].unique
    assert Album.fields["mail"].allow_null and not Album.fields["title"].allow_null
    assert set(Album.many) == {"genres"} and set(Genre.many) == {"albums"}
    assert issubclass(Album, orm.Model)


def test_typed_rows_are_rows(place):
    Label, Album, Genre = music(place)

    async def work():
        label = await Label.objects.create(name="EMI")
        album = await Album.objects.create(title="Malibu", label=label, kind=Kind.SINGLE, mail="a@example.org")
        assert (album.notes, album.data, album.price, album.released) == ("", {}, decimal.Decimal("9.90"), None)
        await album.genres.create(name="soul")
        found = await Album.objects.select_related("label").get(title="Malibu")
        assert (found.label.name, found.kind, found.id) == ("EMI", Kind.SINGLE, album.id)
        assert [one.name for one in await Genre.objects.filter(albums__label__name="EMI").all()] == ["soul"]
        assert [one.name for one in await found.genres.all()] == ["soul"]
        await found.update(released="2016-01-15", label=None)
        assert (await Album.objects.get()).released == datetime.date(2016, 1, 15)

    place.run(work)


def test_an_instance_made_by_hand_has_its_defaults(lite):
    _, Album, _ = music(lite)
    one = Album(title="x")
    assert (one.kind, one.notes, one.data, one.released) == (Kind.LP, "", {}, None)
    assert Album(title="y").data is not one.data
    assert not hasattr(Album(pk=uuid.UUID(int=1)), "kind")


def test_names_that_a_typed_model_does_not_have_are_refused(lite):
    _, Album, Genre = music(lite)

    async def work():
        genre = await Genre.objects.create(name="a")
        for refused in (
            Genre.objects.create(nmae="a"),
            Genre.objects.update(nmae="a"),
            genre.update(nmae="a"),
            Genre.objects.bulk_create([{"name": "a", "nmae": "b"}]),
            Genre.objects.update_or_create(name="a", defaults={"nmae": "b"}),
        ):
            with pytest.raises(TypeError, match="Genre has no field `nmae`; did you mean `name`"):
                await refused
        with pytest.raises(typesystem.ValidationError, match="name"):
            await Genre.objects.create()
        assert await Genre.objects.count() == 1
        assert (await Genre.objects.create(id=50, name="given")).id == 50

    lite.run(work)


def test_annotations_that_are_no_fields_are_told(lite):
    with pytest.raises(TypeError, match="Wrong.what: no field is known for <class 'object'>"):

        class Wrong(orm.TypedModel, registry=lite.registry):
            what: object

    with pytest.raises(TypeError, match="Wrong2.name: max_length belong"):

        class Wrong2(orm.TypedModel, registry=lite.registry):
            name: Annotated[str, orm.Text()] = orm.field(max_length=5)

    with pytest.raises(AssertionError, match="decimal_places"):

        class Wrong3(orm.TypedModel, registry=lite.registry):
            price: decimal.Decimal = orm.field(max_digits=5, decimal_places=None)


def test_annotations_in_text_of_a_module(lite, tmp_path, monkeypatch):
    (tmp_path / "later_models.py").write_text(
        textwrap.dedent(
            """
            from __future__ import annotations
            import datetime
            from typing import Annotated, Optional
            from naja import orm

            def declare(models):
                class Song(orm.TypedModel, registry=models):
                    id: int = orm.field(primary_key=True)
                    made: datetime.date
                    singer: Singer | None = None
                    other: Optional["Singer"] = None
                    mail: Annotated[str, orm.Email(max_length=20)] = "a@b.de"

                class Singer(orm.TypedModel, registry=models):
                    id: int = orm.field(primary_key=True)

                return Song, Singer
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    import later_models

    Song, Singer = later_models.declare(lite.registry)
    assert Song.fields["singer"].target is Song.fields["other"].target is Singer
    assert Song.fields["singer"].allow_null and Song.fields["mail"].validator.default == "a@b.de"
    del sys.modules["later_models"]


@pytest.fixture(scope="module")
def checkers(tmp_path_factory):
    """A folder with type checkers, and the environment that finds them and naja."""
    folder = tmp_path_factory.mktemp("checkers")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), *CHECKERS]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print("not tested: type checkers could not be installed")
        pytest.skip(f"type checkers could not be installed: {done.stderr.strip()[-200:]}")
    return folder


def expected_errors():
    """The lines of the sample that say what is wrong with them: to every checker, or to those that see all."""
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    to_all = {number for number, line in enumerate(lines, 1) if "  # wrong" in line}
    to_some = {number for number, line in enumerate(lines, 1) if "  # wrong, but not to mypy" in line}
    return to_all, to_some


def test_mypy_knows_the_types(checkers, tmp_path):
    sample = tmp_path / "sample.py"
    sample.write_text(SAMPLE.read_text(encoding="utf-8"))
    environment = {**os.environ, "PYTHONPATH": str(checkers)}
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "--no-error-summary"]
    done = subprocess.run(
        [*command, "--python-executable", sys.executable, str(sample)],
        env=environment, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    to_all, to_some = expected_errors()
    assert found == to_all - to_some, done.stdout + done.stderr


def test_ty_knows_the_types(checkers, tmp_path):
    sample = tmp_path / "sample.py"
    sample.write_text(SAMPLE.read_text(encoding="utf-8"))
    place = pathlib.Path(naja.__file__).parents[1]
    command = [checkers / "bin" / "ty", "check", "--python", sys.prefix, "--output-format", "concise"]
    done = subprocess.run(
        [*command, "--extra-search-path", str(place), str(sample)], capture_output=True, text=True, cwd=tmp_path
    )
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error[" in line}
    to_all, _ = expected_errors()
    assert found == to_all, done.stdout + done.stderr
