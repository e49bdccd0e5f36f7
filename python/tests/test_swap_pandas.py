"""pandas under the swap: it parses, places, shifts and pickles dates with dateutil.

pandas is large, so it is kept below `.cache` from one run to the next; where the index cannot be reached the tests are
skipped, and say so.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest
from installation import Installation

PINNED = ["pandas==3.1.1", "numpy==2.4.6", "python-dateutil==4.0.0"]
# Another set of versions, or another Python, is another folder.
NAME = "-".join([sys.implementation.cache_tag, *(one.replace("==", "-") for one in PINNED)])
KEPT = pathlib.Path(__file__).parents[2] / ".cache" / "tests" / NAME

PROGRAM = """
    import datetime as dt, io, warnings
    import dateutil
    import pandas as pd
    from dateutil import parser, relativedelta, rrule, tz
    from pandas.tseries.holiday import AbstractHolidayCalendar, EasterMonday, GoodFriday, USFederalHolidayCalendar

    warnings.simplefilter("ignore")

    def show(call):
        try:
            print(repr(call()))
        except Exception as error:
            print(type(error).__module__, type(error).__name__, error)

    TEXTS = [
        "2024-01-05", "05/01/2024", "Jan 5 2024 3pm", "20240105", "2024-01-05T10:00:00+02:00", "1/2024", "5.1.2024",
        "Fri, 05 Jan 2024 10:00:00 GMT", "", None, "NaT", "2024-01-05 10:00 UTC", "13/13/2024", "2024-02-30", "99",
        "  2024-3-4  ", "2024-01-05 25:00", "87156549591102612381000001219H5", "12h", "no date",
    ]
    for text in TEXTS:
        for options in [{}, {"dayfirst": True}, {"yearfirst": True}, {"utc": True}]:
            show(lambda: pd.to_datetime(text, **options))
        show(lambda: pd.Timestamp(text))
        show(lambda: pd.Period(text, freq="D"))
    show(lambda: pd.to_datetime(pd.Series(TEXTS), format="mixed", errors="coerce", dayfirst=True, utc=True))
    show(lambda: pd.read_csv(io.StringIO("d,v\\n5/1/2024,1\\n6/13/2024,2\\n"), parse_dates=["d"]).dtypes)
    for text in ["05/01/2024 10:30 PM", "Tue 24 Aug 2021 01:30:48 AM", "2011-12-30 00:00:00.000000+9"]:
        show(lambda: pd.tseries.api.guess_datetime_format(text))

    BERLIN = tz.gettz("Europe/Berlin")
    hours = pd.date_range("2024-10-27", periods=12, freq="30min")
    for ambiguous in ["raise", "NaT", "infer", [True] * 12]:
        show(lambda: hours.tz_localize(BERLIN, ambiguous=ambiguous))
    hours = pd.date_range("2024-03-31 01:00", periods=6, freq="30min")
    for nonexistent in ["raise", "NaT", "shift_forward", pd.Timedelta("1h")]:
        show(lambda: hours.tz_localize("dateutil/Europe/Berlin", nonexistent=nonexistent))
    for zone in [
        tz.tzutc(), tz.tzoffset(None, 3600), tz.tzoffset("X", -5400), tz.tzlocal(), BERLIN, tz.tzstr("EST5EDT"),
        tz.tzrange("EST", -18000, "EDT"), tz.gettz("Asia/Kathmandu"),
    ]:
        for moment in ["2024-07-05 10:00", "1900-07-05 10:00", "2200-07-05 10:00", "2024-10-27 02:30"]:
            show(lambda: pd.Timestamp(moment, tz=zone))
        show(lambda: pd.date_range("2024-03-30", periods=4, freq="12h", tz=zone).tz_convert("UTC"))
        show(lambda: pd.Series(pd.date_range("2024-07-01", periods=2, tz=zone)).dt.tz_convert("dateutil/US/Pacific"))
        show(lambda: pd.DatetimeTZDtype(tz=zone))

    month = pd.DateOffset(months=1)
    for offset in [month, pd.DateOffset(years=-1, days=3), pd.DateOffset(weekday=relativedelta.MO(2))]:
        show(lambda: (offset, offset == month, pd.Timestamp("2024-01-31 10:00:00.123456789", tz=BERLIN) + offset))
        show(lambda: pd.Series(pd.date_range("2024-01-30", periods=3)) + offset)
    show(lambda: pd.date_range("2024-01-31", periods=6, freq=month))
    show(lambda: USFederalHolidayCalendar().holidays("2020", "2026", return_name=True))

    class Easter(AbstractHolidayCalendar):
        rules = [EasterMonday, GoodFriday]

    show(lambda: Easter().holidays("2010", "2030"))
    values = pd.Series(range(72), index=pd.date_range("2024-03-30", periods=72, freq="h", tz=BERLIN))
    show(lambda: values.rolling("5h").sum())
    show(lambda: values.resample("D").sum())
    show(lambda: values.groupby(values.index.month).sum())
    show(lambda: values["Mar 31 2024 10:00":"31 March 2024 12:00"])
    show(lambda: list(rrule.rrule(rrule.DAILY, dtstart=pd.Timestamp("2024-01-01", tz=BERLIN), count=2)))
    show(lambda: relativedelta.relativedelta(pd.Timestamp("2024-03-31"), pd.Timestamp("2023-01-15 10:00")))
    show(lambda: parser.parse("10:30", default=pd.Timestamp("2024-01-01")))
    """

THINGS = """
    import sys
    import dateutil
    import pandas as pd
    from dateutil import relativedelta, tz

    THINGS = {
        "frame": pd.DataFrame(
            {"at": pd.date_range("2024-03-30", periods=6, freq="12h", tz=tz.gettz("Europe/Berlin"))},
            index=pd.date_range("2024-10-26", periods=6, freq="12h", tz="dateutil/America/New_York")),
        "fixed": pd.Series(pd.date_range("2024", periods=2, tz=tz.tzoffset("X", 5400))),
        "utc": pd.Timestamp("2024", tz=tz.tzutc()),
        "local": pd.Timestamp("2024", tz=tz.tzlocal()),
        "offset": pd.DateOffset(months=1, weekday=relativedelta.MO(2)),
        "type": pd.DatetimeTZDtype(tz=tz.gettz("Europe/Berlin")),
    }
    """

WRITE = THINGS + """
    pd.to_pickle(THINGS, sys.argv[1])
    """

READ = THINGS + """
    read = pd.read_pickle(sys.argv[1])
    for name, thing in THINGS.items():
        assert type(read[name]) is type(thing), name
        assert repr(read[name]) == repr(thing), name
        assert read[name].equals(thing) if hasattr(thing, "equals") else read[name] == thing, name
    assert read["frame"].index.tz == THINGS["frame"].index.tz
    print("ok")
    """


def with_pandas():
    """The folder that holds pandas, installed once."""
    if not KEPT.exists():
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=KEPT.parent)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, *PINNED]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(folder)
            print("not tested: pandas could not be installed")
            pytest.skip(f"pandas could not be installed: {done.stderr.strip()[-200:]}")
        try:
            # All or nothing: an installation that was broken off is not taken for a whole one.
            os.rename(folder, KEPT)
        except OSError:
            # Another run was faster.
            shutil.rmtree(folder)
    return KEPT


@pytest.fixture(scope="module")
def pandas(tmp_path_factory):
    """naja as it is installed, and the variables that let a program find pandas."""
    return Installation(tmp_path_factory.mktemp("pandas"), is_made_up=False), {"PYTHONPATH": str(with_pandas())}


def is_swapped(ended):
    return "dateutil.tz.tz" in ended.report["swap"]["swapped"]


def test_a_program_prints_the_same(pandas):
    installation, variables = pandas
    program = installation.program(PROGRAM)
    expected = installation.unswapped(program, **variables)
    ended = installation.run(program, **variables)
    assert ended.returncode == 0, ended.stderr
    assert is_swapped(ended), ended.stderr
    assert ended.stdout.strip().splitlines() == expected.splitlines()
    assert expected.endswith("Timestamp('2024-01-01 10:30:00')"), "the program reached its end"


@pytest.mark.parametrize("writer_is_swapped", [True, False])
def test_pickles_of_frames_travel(pandas, tmp_path, writer_is_swapped):
    installation, variables = pandas
    write, read = installation.program(WRITE, "write.py"), installation.program(READ, "read.py")
    file = tmp_path / "frames.pickle"
    if writer_is_swapped:
        assert is_swapped(installation.run(write, file, **variables))
        assert b"naja" not in file.read_bytes()
        assert installation.unswapped(read, file, **variables) == "ok"
    else:
        installation.unswapped(write, file, **variables)
        assert installation.output(read, file, **variables) == "ok"
