"""The swap with a real drop-in: `naja.dateutil` under its original's name."""

import textwrap

import pytest

from installation import Installation


@pytest.fixture(scope="module")
def dates(tmp_path_factory):
    """naja as it is installed, and an environment without the original."""
    return Installation(tmp_path_factory.mktemp("dates"), is_made_up=False)


def test_everything_says_the_original_s_module_and_can_be_pickled(dates):
    program = """
        import datetime, pickle
        from dateutil import easter, parser, relativedelta, rrule, tz
        day = datetime.datetime(2024, 5, 17, 12, 30)
        things = [
            parser.parse, parser.isoparse, easter.easter, parser.parserinfo, parser.ParserError,
            relativedelta.relativedelta(months=1, weekday=relativedelta.MO(-1)),
            tz.tzutc(), tz.tzoffset("X", 3600), tz.tzlocal(), tz.tzstr("EST5EDT"), tz.tzrange("EST", -18000, "EDT"),
            tz.gettz("UTC"), day.replace(tzinfo=tz.UTC), parser.parse("2024-05-17T12:30+02:00"),
            rrule.rrule(rrule.DAILY, count=3, dtstart=day), rrule.rruleset(),
        ]
        for thing in things:
            data = pickle.dumps(thing)
            assert b"naja" not in data, (thing, data)
            again = pickle.loads(data)
            assert type(again) is type(thing)
        print("ok")
        """
    assert dates.output(dates.program(program)) == "ok"


def test_functions_of_the_extension_go_to_workers(dates):
    program = """
        import multiprocessing
        from dateutil import parser

        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(*pool.map(parser.parse, ["2024-05-17", "May 18 2024"]))
        """
    assert dates.output(dates.program(program)) == "2024-05-17 00:00:00 2024-05-18 00:00:00"


def test_the_deprecated_module_warns_the_line_that_imports_it(dates):
    for line in ["import dateutil.zoneinfo", "from dateutil import zoneinfo", "dateutil.zoneinfo"]:
        program = f"""
            import warnings
            import dateutil
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                {line}
            print([(one.filename.rpartition("/")[2], one.lineno) for one in seen])
            """
        number = 1 + textwrap.dedent(program).splitlines().index("    " + line)
        assert dates.output(dates.program(program)) == f"[('program.py', {number})]"


def test_classes_live_and_descend_as_the_original_s_do(dates):
    program = """
        import warnings
        from dateutil import tz
        import dateutil.tz.tz as module
        warnings.simplefilter("ignore")
        from dateutil.zoneinfo.rebuild import RebuildDeprecationWarning
        for one in [tz.tzical, module._tzicalvtz, module._tzicalvtzcomp]:
            assert one.__module__ == "dateutil.tz.tz", one
        # A warning that users see unless they ask not to.
        assert RebuildDeprecationWarning.__mro__[1] is FutureWarning
        print("ok")
        """
    assert dates.output(dates.program(program)) == "ok"
