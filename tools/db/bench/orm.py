"""Measures naja.orm beside orm with the databases, SQLAlchemy and aiosqlite that it was written for, on SQLite.

    orm.py [--short] [WORD…]     `cargo dev bench db orm` builds first and then starts this

WORD chooses the cases whose names contain it; the others keep the results that they have. With ORM_CHECKOUT set to a
checkout of the original, that is measured in place of the release of the package index. Both sides read and write files
of their own on the same disk. What they stored or read is compared before costs; the sides run in turn; a figure is the
median, shown with the smallest and the largest. Costs are by the clock: an awaited statement waits for another thread.
"""

import asyncio
import importlib
import os
import pathlib
import sys
import tempfile
import time
import warnings

import stored
from sides import arguments, import_costs, install

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = HERE.parents[2] / ".cache" / "bench" / "db" / "orm"
CHECKOUT = os.environ.get("ORM_CHECKOUT")
ORIGINAL = "orm==0.3.1"
# The newest that the original works with.
NEEDED = [
    "databases==0.6.2",
    "typesystem==0.3.1",
    "sqlalchemy==1.4.41",
    "aiosqlite==0.17.0",
    "greenlet==3.5.6",
    "typing_extensions==4.15.0",
]

ALBUMS, TRACKS = 50, 2000


class Side:
    """One of the two, with its models in a file of its own."""

    def __init__(self, name, path):
        prefix = "naja." if name == "naja" else ""
        orm = importlib.import_module(f"{prefix}orm")
        databases = importlib.import_module(f"{prefix}databases")
        self.database = databases.Database(f"sqlite:///{path}")
        self.registry = orm.ModelRegistry(database=self.database)
        # Classes made by hand, since both sides want the same names.
        album = {"id": orm.Integer(primary_key=True), "name": orm.String(max_length=100)}
        self.Album = type("Album", (orm.Model,), {"registry": self.registry, "tablename": "albums", "fields": album})
        track = {
            "id": orm.Integer(primary_key=True),
            "album": orm.ForeignKey(self.Album),
            "title": orm.String(max_length=100),
            "position": orm.Integer(minimum=0, default=0),
            "played": orm.Boolean(default=False),
        }
        self.Track = type("Track", (orm.Model,), {"registry": self.registry, "tablename": "tracks", "fields": track})
        note = {
            "id": orm.Integer(primary_key=True),
            "text": orm.String(max_length=100),
            "done": orm.Boolean(default=False),
        }
        self.Note = type("Note", (orm.Model,), {"registry": self.registry, "tablename": "notes", "fields": note})

    async def fill(self):
        await self.registry.create_all()
        async with self.database:
            async with self.database.transaction():
                for number in range(ALBUMS):
                    await self.Album.objects.create(name=f"album {number}")
                for number in range(TRACKS):
                    album = self.Album(pk=number % ALBUMS + 1)
                    await self.Track.objects.create(album=album, title=f"track {number}", position=number % 20)
                for number in range(TRACKS):
                    await self.Note.objects.create(text=f"n{number}", done=number % 2 == 0)


def shown(instance):
    return [getattr(getattr(instance, name), "pk", getattr(instance, name)) for name in instance.fields]


async def get(side):
    for number in range(200):
        note = await side.Note.objects.get(id=number + 1)
    return shown(note), 200


async def get_held(side):
    async with side.database.connection():
        return await get(side)


async def get_joined(side):
    for number in range(100):
        track = await side.Track.objects.select_related("album").get(title=f"track {number}", album__name__contains="al")
    return (shown(track), track.album.name), 100


async def everything(side):
    notes = await side.Note.objects.all()
    return [shown(note) for note in notes[:50]], TRACKS


async def all_of_a_relation(side):
    tracks = await side.Track.objects.all()
    return [shown(track) for track in tracks[:50]], TRACKS


async def all_joined(side):
    tracks = await side.Track.objects.select_related("album").all()
    return [(shown(track), track.album.name) for track in tracks[:50]], TRACKS


async def filtered(side):
    for number in range(50):
        notes = await side.Note.objects.filter(text__icontains=f"n{number}", done=True).order_by("-id").limit(5).all()
    return [shown(note) for note in notes], 50


async def count(side):
    for _ in range(100):
        number = await side.Note.objects.filter(done=True).count()
    return number, 100


async def create(side):
    async with side.database.transaction(force_rollback=True):
        for number in range(200):
            note = await side.Note.objects.create(text=f"new {number}")
        # Where the rows are undone, the next run gives the same keys.
        return shown(note), 200


async def update(side):
    async with side.database.transaction(force_rollback=True):
        for number in range(100):
            note = side.Note(id=number + 1)
            await note.update(text=f"changed {number}")
        return shown(await side.Note.objects.get(id=50)), 100


async def bulk_create(side):
    async with side.database.transaction(force_rollback=True):
        await side.Note.objects.bulk_create([{"text": f"new {number}"} for number in range(1000)])
        return await side.Note.objects.count(), 1000


# Each case: its name, its target, and what both sides do.
CASES = [
    ("get by the key", 10, get),
    ("get by the key, a connection held", None, get_held),
    ("get, with its relation", None, get_joined),
    ("all, 2,000 rows", 4, everything),
    ("all, 2,000 rows that refer to others", None, all_of_a_relation),
    ("all, 2,000 rows with what they refer to", None, all_joined),
    ("filter, order_by and limit, 5 of 2,000 rows", None, filtered),
    ("count", None, count),
    ("create, in a transaction", None, create),
    ("update of an instance, in a transaction", None, update),
    ("bulk_create, 1,000 rows in a transaction", None, bulk_create),
]


async def timed(side, case):
    async with side.database:
        start = time.perf_counter()
        answer, count = await case(side)
        return answer, (time.perf_counter() - start) / count


def measure(case, sides, runs):
    name, target, work = case
    columns, answers = ([], []), [None, None]
    for number in range(runs + 1):
        for place in (0, 1) if number % 2 else (1, 0):
            answers[place], took = asyncio.run(timed(sides[place], work))
            # The first round is for warming up.
            if number:
                columns[place].append(took)
        if answers[0] != answers[1]:
            raise SystemExit(f"WRONG ANSWER in {name}: {str(answers[0])[:200]} and {str(answers[1])[:200]}")
    return stored.result("orm", name, "s", *columns, target)


def imports(runs):
    """What importing adds to a bare Python, in milliseconds of the clock."""
    costs = import_costs("import naja.orm, naja.databases", "import orm, databases.backends.sqlite", max(runs, 5))
    return stored.result("orm", "import, over bare Python", "ms", *costs, None)


def main():
    options = arguments(__doc__)
    folder = FOLDER / ("checkout" if CHECKOUT else "release")
    folder.mkdir(parents=True, exist_ok=True)
    install(folder, "orm", [CHECKOUT or ORIGINAL, *NEEDED])
    warnings.simplefilter("ignore")
    runs = 3 if options.short else 9
    results = []
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as files:
        sides = [Side(name, pathlib.Path(files) / f"{name}.db") for name in ("naja", "original")]
        for side in sides:
            asyncio.run(side.fill())
        chosen = [case for case in CASES if options.is_chosen(case[0])]
        if not hasattr(sides[1].Note.objects, "bulk_create"):
            # The release has none.
            chosen = [case for case in chosen if case[2] is not bulk_create]
        results += [measure(case, sides, runs) for case in chosen]
        if options.is_chosen("import"):
            results.append(imports(runs))
    for one in results:
        print(f"{one['case']}, beside orm: {one['ratio']:.1f}", file=sys.stderr)
    if not options.short:
        stored.store("orm", f"{ORIGINAL}{', eight commits later' if CHECKOUT else ''}", results)


if __name__ == "__main__":
    main()
