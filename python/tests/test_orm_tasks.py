"""naja.orm among tasks and in transactions: each task's rows are its own until they are committed."""

import asyncio
import threading

import pytest
from orm_places import lite, mariadb_of_module, place  # noqa: F401: fixtures

from naja import databases, orm


def counter(place):
    class Counter(orm.Model):
        registry = place.registry
        fields = {"id": orm.Integer(primary_key=True), "name": orm.String(max_length=20), "count": orm.Integer(default=0)}

    return Counter


def test_many_tasks_read_and_write_in_one_database(place):
    Counter = counter(place)

    async def work():
        await Counter.objects.bulk_create([{"name": str(number)} for number in range(20)])

        async def task(number):
            one = await Counter.objects.get(name=str(number % 20))
            assert one.name == str(number % 20)
            found = await Counter.objects.filter(count__gte=0).order_by("id").limit(5).all()
            assert [other.id for other in found] == [1, 2, 3, 4, 5]
            if number < 20:
                await one.update(count=number)
            return one.id

        ids = await asyncio.gather(*[task(number) for number in range(100)])
        assert ids == [number % 20 + 1 for number in range(100)]
        assert [one.count for one in await Counter.objects.order_by("id").all()] == list(range(20))

    place.run(work)


def test_a_transaction_is_all_or_nothing(place):
    Counter = counter(place)

    async def work():
        with pytest.raises(ZeroDivisionError):
            async with place.database.transaction():
                one = await Counter.objects.create(name="a")
                await Counter.objects.bulk_create([{"name": "b"}] * 200)
                assert await Counter.objects.count() == 201
                await one.delete()
                1 / 0
        assert await Counter.objects.count() == 0
        async with place.database.transaction():
            await Counter.objects.create(name="a")
            with pytest.raises(ZeroDivisionError):
                async with place.database.transaction():
                    await Counter.objects.create(name="b")
                    1 / 0
        assert [one.name for one in await Counter.objects.all()] == ["a"]

    place.run(work)


def test_other_tasks_do_not_see_what_is_not_committed(place):
    Counter = counter(place)

    async def work():
        written, looked = asyncio.Event(), asyncio.Event()

        async def writer():
            async with place.database.transaction():
                await Counter.objects.create(name="a")
                written.set()
                await looked.wait()

        async def reader():
            await written.wait()
            before = await Counter.objects.count()
            looked.set()
            return before

        _, before = await asyncio.gather(writer(), reader())
        assert (before, await Counter.objects.count()) == (0, 1)

    place.run(work)


def test_what_is_forced_back_is_gone(place):
    Counter = counter(place)

    async def work():
        pass

    place.run(work, leaves=True)

    async def forced():
        with place.database.force_rollback():
            async with place.database:
                await Counter.objects.create(name="a")
                await asyncio.gather(*[Counter.objects.create(name="b") for _ in range(5)])
                assert await Counter.objects.count() == 6
        async with place.database:
            assert await Counter.objects.count() == 0
        await place.registry.drop_all()

    asyncio.run(forced())


def test_a_task_that_is_cancelled_leaves_its_database_usable(place):
    Counter = counter(place)

    async def work():
        await Counter.objects.bulk_create([{"name": str(number)} for number in range(50)])
        tasks = [asyncio.ensure_future(Counter.objects.all()) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) or len(one) == 50 for one in done)
        assert await Counter.objects.count() == 50

    place.run(work)


def test_models_serve_loops_in_several_threads(lite):
    Counter = counter(lite)
    seen, failed = [], []

    async def work():
        await Counter.objects.create(name="a")

        def in_thread(number):
            async def read():
                for _ in range(20):
                    one = await Counter.objects.filter(name="a", count__gte=0).get()
                    await Counter.objects.filter(id=one.id, name__in=["a"] * (number + 1)).count()
                seen.append(one)

            try:
                asyncio.run(read())
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=in_thread, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            await asyncio.sleep(0.01)

    lite.run(work)
    assert not failed and len(seen) == 4


def test_a_registry_whose_database_is_replaced(lite, tmp_path):
    Counter = counter(lite)

    async def work():
        await Counter.objects.create(name="a")
        assert await Counter.objects.count() == 1
        lite.registry.database = databases.Database(f"sqlite:///{tmp_path}/other.db")
        await lite.registry.create_all()
        assert await Counter.objects.count() == 0

    lite.run(work)
