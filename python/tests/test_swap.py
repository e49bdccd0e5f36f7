"""`naja run --swap` and `naja.swap.install`, with a made-up original and a made-up drop-in."""

import glob
import json
import os
import pickle
import subprocess
import sys

import pytest

WHO = "import thing; print(thing.WHO)"


# What is swapped


def test_the_program_gets_naja_s_module_and_without_the_option_its_own(installation):
    assert installation.output("-c", WHO) == "naja"
    assert installation.output("-c", WHO, swap="thing") == "naja"
    assert installation.output("-c", WHO, swap="thing-maker") == "naja"
    assert installation.output("-c", WHO, swap="none") == "original"
    assert installation.output("-c", WHO, swap=None) == "original"


def test_the_variable_asks_for_the_swap_and_the_option_overrides_it(installation):
    assert installation.output("-c", WHO, swap=None, NAJA_SWAP="thing") == "naja"
    assert installation.output("-c", WHO, swap="none", NAJA_SWAP="thing") == "original"


def test_the_setting_asks_for_the_swap(installation):
    settings = installation.program('[tool.naja.run]\nswap = "all"\n', "pyproject.toml")
    try:
        assert installation.output("-c", WHO, swap=None) == "naja"
        assert installation.output("-c", WHO, swap="none") == "original"
    finally:
        settings.unlink()


def test_an_unknown_name_is_an_error_that_names_the_known_ones(installation):
    ended = installation.run("-c", WHO, swap="pandas")
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.startswith("error[no-such-drop-in]: naja has nothing to swap for `pandas`\n")
    assert "it has thing;" in ended.stderr


def test_a_module_is_one_object_under_both_names_whichever_comes_first(installation):
    for first, second in [("thing", "naja.thing"), ("naja.thing", "thing")]:
        program = f"""
            import {first}.shapes, {second}.shapes, sys
            import naja
            assert sys.modules["thing"] is sys.modules["naja.thing"] is naja.thing
            assert sys.modules["thing.shapes"] is sys.modules["naja.thing.shapes"] is naja.thing.shapes
            print(naja.thing.__name__, naja.thing.shapes.__name__, naja.thing.shapes.__spec__.name)
            """
        assert installation.output(installation.program(program)) == "thing thing.shapes thing.shapes"


def test_classes_say_the_original_s_module(installation):
    program = """
        from thing import Square
        from naja.thing import Square as same
        assert same is Square
        print(Square.__module__, repr(Square), Square(1).who())
        """
    assert installation.output(installation.program(program)) == "thing.shapes <class 'thing.shapes.Square'> naja"


def test_a_module_that_naja_lacks_is_the_original_s_among_naja_s_classes(installation):
    program = """
        import thing.extra
        made = thing.extra.make()
        assert type(made) is thing.Square and thing.extra.Square is thing.Square
        print(thing.extra.WHO, made.who())
        """
    ended = installation.run(installation.program(program))
    assert ended.stdout.strip() == "naja naja", ended.stderr
    assert ended.report["swap"]["fell_back"] == [{"name": "thing.extra", "why": "naja has no such module"}]
    assert "  fell back thing.extra: naja has no such module\n" in ended.stderr


def test_only_listed_names_come_from_the_original_one_by_one(installation):
    program = """
        from thing import numbers
        from thing.numbers import thrice
        assert numbers.LIMIT == 7 and thrice(2) == 6 and numbers.thrice is thrice
        try:
            numbers.other
        except AttributeError as error:
            print(error)
        """
    ended = installation.run(installation.program(program))
    assert ended.stdout.strip() == "module 'thing.numbers' has no attribute 'other'", ended.stderr
    names = [note["name"] for note in ended.report["swap"]["fell_back"]]
    assert names == ["thing.numbers.thrice", "thing.numbers.LIMIT"]


def test_what_neither_has_fails_as_without_the_swap(installation):
    program = """
        try:
            import thing.nothing
        except ModuleNotFoundError as error:
            print(error, error.name)
        try:
            from thing import nothing
        except ImportError as error:
            print(str(error).partition(" (")[0])
        """
    program = installation.program(program)
    assert installation.output(program) == installation.unswapped(program)


def test_a_module_of_naja_s_that_fails_is_not_replaced_in_silence(installation):
    program = """
        try:
            import thing.broken
        except ImportError as error:
            print(error)
        """
    assert installation.output(installation.program(program)) == "on purpose"


def test_a_module_can_be_reloaded_and_imported_anew(installation):
    program = """
        import importlib, sys, thing, naja.thing
        thing.WHO = "changed"
        assert importlib.reload(thing) is thing and thing.WHO == "naja"
        assert importlib.reload(naja.thing) is thing
        old = thing.numbers
        del sys.modules["thing.numbers"]
        import thing.numbers
        assert thing.numbers is not old
        import naja.thing.numbers
        assert sys.modules["naja.thing.numbers"] is thing.numbers
        print(importlib.util.find_spec("thing.shapes").origin.endswith("naja/thing/shapes.py"))
        """
    assert installation.output(installation.program("import importlib.util\n" + _dedent(program))) == "True"


def test_the_installed_version_is_the_original_s(installation):
    code = "import importlib.metadata as m; print(m.version('thing-maker'))"
    assert installation.output("-c", code) == "1.0"


def test_a_warning_names_the_line_that_it_would_name_without_the_swap(installation):
    text = "import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)\n"
    for folder in [installation.package, installation.packages]:
        (folder / "thing" / "old.py").write_text(text)
    program = installation.program("""
        import warnings
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            import thing.old
        print([(one.filename, one.lineno) for one in seen])
        """)
    assert installation.output(program) == installation.unswapped(program)


def test_threads_that_import_at_once_get_the_same_whole_module(installation):
    slow = "import time\ntime.sleep(0.05)\nclass Late: pass\n"
    (installation.package / "thing" / "slow.py").write_text(slow)
    program = """
        import importlib, threading
        found = []
        start = threading.Barrier(8)
        def get(name):
            start.wait()
            found.append(importlib.import_module(name).Late)
        names = ["thing.slow", "naja.thing.slow"] * 4
        threads = [threading.Thread(target=get, args=[name]) for name in names]
        [one.start() for one in threads]
        [one.join() for one in threads]
        print(len(found), len(set(found)))
        """
    assert installation.output(installation.program(program)) == "8 1"


# Pickles


@pytest.mark.parametrize("there, back", [("all", None), (None, "all")])
def test_pickles_travel_between_swapped_and_unswapped_processes(installation, there, back):
    folder = installation.folder
    dump = "import pickle, thing; pickle.dump(thing.Square(3), open('s.pickle', 'wb')); print(thing.WHO)"
    load = "import pickle, thing; one = pickle.load(open('s.pickle', 'rb')); print(one == thing.Square(3), one.who())"
    assert installation.output("-c", dump, swap=there) == ("naja" if there else "original")
    assert b"thing.shapes" in (folder / "s.pickle").read_bytes()
    assert b"naja" not in (folder / "s.pickle").read_bytes()
    assert installation.output("-c", load, swap=back) == "True " + ("naja" if back else "original")


def test_pickles_of_naja_s_own_names_are_understood_under_the_swap(installation):
    dump = f"""
        import sys
        sys.path.insert(0, {str(installation.package.parent)!r})
        import pickle, naja.thing
        assert naja.thing.Square.__module__ == "naja.thing.shapes"
        pickle.dump(naja.thing.Square(3), open("n.pickle", "wb"))
        """
    installation.output(installation.program(dump), swap=None)
    load = "import pickle, thing; print(type(pickle.load(open('n.pickle', 'rb'))) is thing.Square)"
    assert installation.output("-c", load) == "True"


# Children


def test_children_are_swapped_too(installation):
    program = """
        import multiprocessing, subprocess, sys

        def who(_=None):
            import thing
            return thing.WHO

        if __name__ == "__main__":
            code = "import thing; print(thing.WHO)"
            found = [subprocess.check_output([sys.executable, "-c", code], text=True).strip()]
            for method in ["spawn", "fork", "forkserver"]:
                with multiprocessing.get_context(method).Pool(1) as pool:
                    found += pool.map(who, [None])
            print(*found)
        """
    assert installation.output(installation.program(program)) == "naja naja naja naja"


def test_a_run_inside_of_a_run_swaps_too_unless_it_is_told_not_to(installation):
    inner = f"{installation.naja} run -q --python {installation.python}"
    for option, who in [("", "naja"), ("--swap=none", "original")]:
        program = f"""
            import shlex, subprocess, thing
            words = shlex.split({inner + " " + option!r}) + ["-c", "import sys, thing; print(thing.WHO, sys.path)"]
            print(thing.WHO, subprocess.check_output(words, text=True).split()[0])
            """
        assert installation.output(installation.program(program)) == f"naja {who}"


def test_a_fork_after_the_import_goes_on_with_the_swap(installation):
    program = """
        import os, sys, thing
        child = os.fork()
        if child == 0:
            import thing.numbers
            os._exit(0 if thing.WHO == "naja" and thing.numbers.twice(2) == 4 else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    assert installation.output(installation.program(program)) == "0"


def test_a_command_of_the_environment_is_swapped(installation):
    script = installation.python.parent / "show-thing"
    script.write_text(f"#!{installation.python}\n{WHO}\n")
    script.chmod(0o755)
    assert installation.output("show-thing") == "naja"


def test_a_module_run_as_the_program_is_swapped(installation):
    installation.program(WHO, "shows.py")
    assert installation.output("-m", "shows") == "naja"


def test_a_module_of_naja_s_can_be_run_itself(installation):
    (installation.package / "thing" / "__main__.py").write_text("print(__name__, __spec__.name)\n")
    assert installation.output("-m", "thing") == "__main__ thing.__main__"


# Where the swap is not active


@pytest.mark.parametrize("option, why", [
    ("-I", "Python was started with -I, which ignores PYTHONPATH"),
    ("-E", "Python was started with -E, which ignores PYTHONPATH"),
    ("-S", "Python was started with -S, which leaves out `site`"),
])
def test_options_that_keep_the_swap_away_are_told_and_the_program_runs(installation, option, why):
    code = f"import sys; sys.path.append({str(installation.packages)!r}); {WHO}"
    ended = installation.run(option, "-c", code)
    assert (ended.returncode, ended.stdout) == (0, "original\n"), ended.stderr
    assert ended.report["swap"] == {
        "asked": ["thing"], "swapped": [], "fell_back": [], "other_versions": [], "kept": [], "inactive": [{"why": why, "processes": 1}]}
    assert f"  swap not active: {why}\n" in ended.stderr


def other_pythons():
    root = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    found = glob.glob(os.path.join(root, "versions", "*", "bin", "python")) + glob.glob("/usr/bin/python3")
    for path in found:
        ask = "import sys; print('%d.%d' % sys.version_info[:2])"
        version = subprocess.run([path, "-c", ask], capture_output=True, text=True).stdout.strip()
        if version and version != "%d.%d" % sys.version_info[:2]:
            yield version, path


def test_another_version_runs_unswapped_and_is_told(installation):
    others = dict(other_pythons())
    for version, path in others.items():
        ended = installation.run("-c", "print('ran')", python=path)
        assert (ended.returncode, ended.stdout) == (0, "ran\n"), ended.stderr
        (inactive,) = ended.report["swap"]["inactive"]
        assert "no extension for CPython " + version in inactive["why"]
    if not others and os.environ.get("NAJA_NOT_TESTED"):
        with open(os.environ["NAJA_NOT_TESTED"], "a") as notes:
            notes.write("the swap under another Python: there is none\n")


def test_an_original_that_was_imported_before_is_kept_and_told(installation):
    path_file = installation.packages / "early.pth"
    path_file.write_text("import thing\n")
    try:
        ended = installation.run("-c", WHO)
    finally:
        path_file.unlink()
    assert ended.stdout == "original\n"
    assert ended.report["swap"]["kept"] == [{"name": "thing", "why": "thing was imported before the swap"}]


def test_a_program_that_imports_nothing_swapped_says_so(installation):
    ended = installation.run("-c", "pass")
    assert "  swapped the program imported nothing of thing\n" in ended.stderr
    assert ended.report["swap"]["inactive"] == []


def test_advice_names_what_takes_the_time_and_could_be_replaced(installation):
    busy = "import time\ndef spin():\n    while time.process_time() < 0.8:\n        sum(range(1000))\n"
    for folder in [installation.package, installation.packages]:
        (folder / "thing" / "busy.py").write_text(busy)
    code = "import thing.busy; thing.busy.spin()"
    advice = {swap: {one["name"]: one["text"] for one in installation.run("-c", code, swap=swap).report["advice"]}
              for swap in ["none", "all"]}
    assert "is inside thing.busy; `--swap=thing` replaces it" in advice["none"]["replaceable"]
    assert "replaceable" not in advice["all"]


# What the program sees

SEES = """
    import json, os, sys
    print(json.dumps({
        "path": sys.path,
        "environment": dict(os.environ),
        "modules": sorted(sys.modules),
        "cache": sorted(sys.path_importer_cache),
        "argv": [sys.argv, sys.orig_argv],
        "descriptors": sorted(os.listdir("/proc/self/fd")),
    }))
    """


def sees(installation, **changes):
    program = installation.program(SEES)
    with_swap = json.loads(installation.output(program, **changes))
    without = json.loads(installation.output(program, swap="none", **changes))
    return with_swap, without


@pytest.mark.parametrize("own", [None, "/somewhere:/else"])
def test_the_program_sees_what_the_page_says_and_nothing_more(installation, own):
    changes = {} if own is None else {"PYTHONPATH": own}
    with_swap, without = sees(installation, **changes)
    for same in ["path", "cache", "argv", "descriptors"]:
        assert with_swap[same] == without[same], same
    new = set(with_swap["modules"]) - set(without["modules"])
    assert new <= {"naja.swap.hook", "importlib", "importlib.machinery", "importlib._bootstrap",
                   "importlib._bootstrap_external", "_warnings", "warnings"}, new
    added = {name: value for name, value in with_swap["environment"].items()
             if without["environment"].get(name) != value}
    assert added.pop("NAJA_SWAP") == "thing"
    assert added.pop("NAJA_SWAP_REPORT").startswith("/proc/")
    site = str(installation.package / "swap" / "site")
    assert added.pop("PYTHONPATH") == (site if own is None else f"{site}:{own}")
    assert added == {}


def test_the_user_s_own_sitecustomize_runs_as_it_would(installation):
    text = "import sys\nsys.customized = (__name__, __file__, 'sitecustomize' in sys.modules)\n"
    own = installation.packages / "sitecustomize.py"
    code = "import sys, thing; print(sys.customized, sys.modules['sitecustomize'].__file__)"
    own.write_text(text)
    try:
        assert installation.output("-c", code) == installation.unswapped("-c", code)
    finally:
        own.unlink()
    assert installation.output("-c", "import sys; print('sitecustomize' in sys.modules)") == "False"


def test_an_error_in_the_user_s_own_sitecustomize_is_reported_as_without_the_swap(installation):
    own = installation.packages / "sitecustomize.py"
    own.write_text("raise ValueError('mine')\n")
    try:
        ended = [installation.run("-c", "print(1)", swap=swap) for swap in ["all", "none"]]
    finally:
        own.unlink()
    told = [[line for line in one.stderr.splitlines() if "sitecustomize" in line or "ValueError" in line]
            for one in ended]
    assert told[0] == told[1] and told[0], told
    assert [one.stdout for one in ended] == ["1\n", "1\n"]


def test_a_damaged_naja_does_not_keep_the_program_from_running(installation):
    hook = installation.package / "swap" / "hook.py"
    text = hook.read_text()
    hook.write_text("raise RuntimeError('damaged')\n")
    try:
        ended = installation.run("-c", WHO)
    finally:
        hook.write_text(text)
    assert (ended.returncode, ended.stdout) == (0, "original\n"), ended.stderr
    assert ended.report["swap"]["swapped"] == []
    assert len(ended.report["swap"]["inactive"]) == 1


# naja.swap


def python(installation, program):
    text = f"import sys; sys.path.insert(0, {str(installation.package.parent)!r})\n" + _dedent(program)
    return installation.unswapped(installation.program(text))


def test_install_swaps_from_then_on(installation):
    program = """
        import naja.swap
        naja.swap.install("thing")
        naja.swap.install("thing")
        import thing
        print(thing.WHO, naja.swap.installed(), *naja.swap.dropins())
        """
    assert python(installation, program) == "naja ['thing'] thing"


def test_install_takes_in_what_was_imported_by_naja_s_name(installation):
    program = """
        import pickle, naja.swap, naja.thing.shapes
        before = naja.thing.Square
        naja.swap.install()
        import thing
        from thing import shapes
        assert thing is naja.thing and thing.Square is before is shapes.Square
        print(before.__module__, thing.__name__, pickle.loads(pickle.dumps(before(2))).who())
        """
    assert python(installation, program) == "thing.shapes thing naja"


def test_install_refuses_what_it_cannot_do_with_a_reason(installation):
    program = """
        import naja.swap, thing
        for names in [["pandas"], ["thing"]]:
            try:
                naja.swap.install(*names)
            except Exception as error:
                print(type(error).__name__, error)
        """
    assert python(installation, program).splitlines() == [
        "LookupError naja has no drop-in for 'pandas'; it has 'thing'",
        "Inactive thing was imported before the swap",
    ]


def test_the_swap_list_is_what_the_checkout_has_measured():
    program = os.path.join(sys.prefix, "bin", "naja")
    listed = json.loads(subprocess.check_output([program, "swap", "list", "--json"]))["dropins"]
    from naja import swap

    table = swap.dropins()
    assert [one["import"] for one in listed] == list(table)
    for one in listed:
        known = table[one["import"]]
        assert (one["version"], one["original"]) == (known["version"], known["original"])
        text = subprocess.check_output([program, "swap", "list"], text=True)
        assert one["original"] in text and one["version"] in text


def _dedent(text):
    import textwrap

    return textwrap.dedent(text)


def test_a_class_of_the_extension_is_renamed_with_what_is_in_it():
    # Types that Python makes are changed in the same way as those that Rust makes.
    from naja.swap import hook

    inner = type("Inner", (), {"__module__": "naja.thing.a"})
    outer = type("Outer", (), {"__module__": "naja.thing", "Inner": inner})
    other = type("Other", (), {"__module__": "naja.things"})
    for one in [outer, other]:
        hook.rename(one, "thing")
    assert [one.__module__ for one in [outer, inner, other]] == ["thing", "thing.a", "naja.things"]
    assert pickle.dumps(len)


def test_another_installed_version_is_told(installation):
    as_it_is = installation.packages / "thing_maker-1.0.dist-info"
    other = as_it_is.with_name("Thing.Maker-2.0.post1.dist-info")
    as_it_is.rename(other)
    try:
        ended = installation.run("-c", "import thing")
    finally:
        other.rename(as_it_is)
    assert "  other version thing: 2.0.post1 is installed, naja's is 1.0\n" in ended.stderr
    assert "other version" not in installation.run("-c", "import thing").stderr
