"""How a plan is run: straight on a connection of naja's own, or by text through whatever `databases` there is."""

from naja._native import db
from naja.databases.interfaces import Prepared


def takes_plans(database):
    """Whether the database's connections take plans as they are."""
    return getattr(getattr(database, "_backend", None), "takes_prepared", False)


def reads_documents(database):
    """Whether the driver makes objects of JSON by itself."""
    return getattr(getattr(database, "_backend", None), "_documents_are_parsed", False)


async def fetch_all(database, plan, values):
    """What the plan makes of all rows."""
    if takes_plans(database):
        async with database.connection() as connection:
            return await connection._connection.fetch_all(Prepared(plan.statement, plan.sql, values))
    return plan.rows(await database.fetch_all(plan.sql, plan.named(values)))


async def fetch_one(database, plan, values):
    """What the plan makes of the first row."""
    if takes_plans(database):
        async with database.connection() as connection:
            return await connection._connection.fetch_one(Prepared(plan.statement, plan.sql, values))
    row = await database.fetch_one(plan.sql, plan.named(values))
    return None if row is None else plan.rows([row])[0]


async def execute(database, plan, values):
    """What the driver says of a statement that changes rows."""
    if takes_plans(database):
        async with database.connection() as connection:
            return await connection._connection.execute(Prepared(plan.statement, plan.sql, values))
    return await database.execute(plan.sql, plan.named(values))


async def insert(database, plan, values):
    """Stores a row; its key, where the database has made one."""
    if database.url.dialect in ("postgresql", "postgres"):
        # The statement returns it.
        return await fetch_one(database, plan, values)
    return await execute(database, plan, values)


async def execute_many(database, statements):
    """Runs plans, each with several sets of values; all of them or none."""
    if sum(len(sets) for _, sets in statements) == 1:
        ((plan, (values,)),) = statements
        await execute(database, plan, values)
        return
    async with database.transaction():
        for plan, sets in statements:
            if takes_plans(database):
                prepared = [Prepared(plan.statement, plan.sql, one) for one in sets]
                async with database.connection() as connection:
                    await connection._connection.execute_many(prepared)
            else:
                await database.execute_many(plan.sql, [plan.named(one) for one in sets])


async def define(database, mappers, links, drops):
    """Makes the tables of models and links that are not there, or takes away those that are."""
    if database.is_connected:
        await _define(database, mappers, links, drops)
        return
    # With a database of its own, whatever the program's undoes when it is disconnected.
    async with type(database)(database.url, **getattr(database, "options", {})) as own:
        await _define(own, mappers, links, drops)


async def _define(database, mappers, links, drops):
    dialect = database.url.dialect
    async with database.connection():
        rows = await database.fetch_all(db.orm.names_of_tables(dialect))
        existing = [row[0] for row in rows]
        statements = db.orm.definitions(dialect, mappers, links, existing, drops)
        if statements:
            async with database.transaction():
                for statement in statements:
                    await database.execute(statement)
