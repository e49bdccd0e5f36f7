"""databases, in Rust: `import naja.databases as databases` instead of `import databases`.

    database = Database("sqlite:///facts.db")
    async with database:
        await database.execute("INSERT INTO people (name) VALUES (:name)", {"name": "Ada"})
        row = await database.fetch_one("SELECT * FROM people WHERE name = :name", {"name": "Ada"})

SQLAlchemy is not needed for SQL in text. Where a program gives one of its expressions, it is loaded then.
"""

from .core import Database, DatabaseURL

__version__ = "0.9.0"
__all__ = ["Database", "DatabaseURL"]
