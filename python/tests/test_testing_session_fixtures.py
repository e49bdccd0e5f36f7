"""Session fixtures that forked workers inherit, and those that every worker sets up: real runs of pytest with `-n`."""

import collections
import json
import os
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree

import pytest

HEADER = """
import os, pytest

def note(what):
    with open("notes", "a") as file:
        file.write(f"{os.getpid()} {what}\\n")
"""
TESTS = """
import pytest

@pytest.mark.parametrize("number", range(12))
def test_one(number, thing):
    pass
"""


class Project:
    """A folder with tests in it, and the runs of them."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, **files):
        for name, text in files.items():
            header = HEADER if name == "conftest" else ""
            (self.folder / (name + ".py")).write_text(header + textwrap.dedent(text), encoding="utf-8")
        return self

    def run(self, *arguments, workers="-n3", code=0):
        notes = self.folder / "notes"
        notes.write_text("")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "naja.testing.plugin", "-v", *workers.split(), *arguments],
            cwd=str(self.folder),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
        )
        assert done.returncode == code, done.stdout
        self.output = done.stdout
        lines = [line.split(" ", 1) for line in notes.read_text().splitlines()]
        self.notes = [what for _, what in lines]
        self.processes = collections.defaultdict(list)
        for process, what in lines:
            self.processes[what].append(process)
        return self

    def count(self, what):
        return self.notes.count(what)

    def reason(self, fixture):
        """Why the fixture was set up per worker, as it was told; `None` when it was not told."""
        found = re.search(rf"^session fixture {fixture}: once per worker, since (.*)$", self.output, re.MULTILINE)
        return found and found.group(1)

    def once(self):
        found = re.search(r"^session fixtures set up once for all workers: (.*)$", self.output, re.MULTILINE)
        return found.group(1).split(", ") if found else []

    def remembered(self):
        file = self.folder / ".pytest_cache" / "v" / "naja" / "session_fixtures"
        verdicts = json.loads(file.read_text()) if file.exists() else {}
        return {name.rsplit("::", 1)[1]: reason for name, (_, reason) in verdicts.items()}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def with_thing(body, above=""):
    """A conftest with a session fixture `thing`, whose body is given."""
    return (
        textwrap.dedent(above)
        + '\n@pytest.fixture(scope="session")\ndef thing(request):\n    note("up")\n'
        + textwrap.indent(textwrap.dedent(body), "    ")
        + '\n    note("down")\n'
    )


# Safe ones


def test_safe_fixture_is_set_up_once_and_torn_down_once_by_the_collecting_process(project):
    project.write(conftest=with_thing("yield {'a': 1}"), test_it=TESTS).run()
    assert project.once() == ["thing"] and project.reason("thing") is None
    # The first run tries it in a process of its own.
    assert (project.count("up"), project.count("down")) == (2, 2)
    project.run()
    assert (project.notes, len(set(project.processes["up"] + project.processes["down"]))) == (["up", "down"], 1)


def test_workers_have_the_value_and_what_the_set_up_changed(project):
    project.write(
        conftest=with_thing("os.environ['SET_BY_THING'] = 'yes'; yield object()", above="seen = set()"),
        test_it="""
            import os, pytest
            from conftest import note

            @pytest.mark.parametrize("number", range(12))
            def test_one(number, thing):
                assert os.environ["SET_BY_THING"] == "yes"
                note(f"value {id(thing)}")
        """,
    ).run()
    assert len({note for note in project.notes if note.startswith("value")}) == 1


def test_teardown_comes_after_all_workers_and_in_reverse_order(project):
    project.write(
        conftest="""
            @pytest.fixture(scope="session")
            def first():
                yield 1
                note("down first")

            @pytest.fixture(scope="session")
            def second(first, request):
                request.addfinalizer(lambda: note("finalizer of second"))
                yield 2
                note("down second")

            @pytest.fixture(scope="session")
            def per_worker(second, worker_id):
                yield worker_id
                note("down per_worker")

            @pytest.fixture(scope="session", autouse=True)
            def always():
                yield
                note("down always")
        """,
        test_it="""
            import pytest
            from conftest import note

            @pytest.fixture(scope="module")
            def middle(second):
                yield
                note("down middle")

            @pytest.mark.parametrize("number", range(12))
            def test_one(number, per_worker, middle):
                note("test")
        """,
    )
    project.run()
    project.run()  # nothing is tried any more
    ends = ["down second", "finalizer of second", "down first", "down always"]
    assert project.notes[-4:] == ends and all(project.count(end) == 1 for end in ends)
    assert project.count("test") == 12 and project.count("down per_worker") >= 2
    assert project.once() == ["always", "first", "second"]
    assert not set(project.processes["down first"]) & set(project.processes["test"])


def test_fixture_that_overrides_one_of_its_name_is_set_up_with_it(project):
    project.write(
        conftest=with_thing("yield [1]"),
        test_it="""
            import pytest
            from conftest import note

            @pytest.fixture(scope="session")
            def thing(thing):
                note("up over")
                yield thing + [2]
                note("down over")

            @pytest.mark.parametrize("number", range(12))
            def test_one(number, thing):
                assert thing == [1, 2]
        """,
    )
    project.run()
    project.run()
    assert project.notes == ["up", "up over", "down over", "down"]


def test_fixture_got_by_another_ones_code_is_inherited_with_it(project):
    project.write(
        conftest="""
            @pytest.fixture(scope="session")
            def inner():
                note("up inner")
                yield 1
                note("down inner")

            @pytest.fixture(scope="session")
            def thing(request):
                yield request.getfixturevalue("inner")
        """,
        test_it="""
            import pytest

            @pytest.mark.parametrize("number", range(12))
            def test_one(number, thing, request):
                assert request.getfixturevalue("inner") == thing
        """,
    )
    project.run()
    project.run()
    assert project.notes == ["up inner", "down inner"]


def test_fixture_got_by_a_tests_code_alone_is_set_up_per_worker(project):
    project.write(
        conftest=with_thing("yield 1"),
        test_it="""
            import pytest

            @pytest.mark.parametrize("number", range(12))
            def test_one(number, request):
                request.getfixturevalue("thing")
        """,
    ).run()
    assert project.once() == [] and project.count("up") >= 2


def test_fixture_that_no_selected_test_needs_is_not_set_up(project):
    project.write(conftest=with_thing("yield 1"), test_it=TESTS + "\ndef test_other(): pass\ndef test_third(): pass\n")
    project.run("-k", "other or third")
    assert project.notes == [] and project.once() == []


def test_fixture_that_one_unit_alone_needs_is_left_to_its_worker(project):
    project.write(conftest=with_thing("yield 1"), test_it=TESTS, test_other="def test_other(): pass\n")
    project.run(workers="-n2 --dist=loadfile")
    assert (project.notes, project.once()) == (["up", "down"], [])


def test_unittest_and_doctest_use_what_was_inherited(project):
    (project.folder / "pytest.ini").write_text("[pytest]\naddopts = --doctest-modules\n")
    project.write(
        conftest="""
            @pytest.fixture(scope="session", autouse=True)
            def thing(doctest_namespace):
                note("up")
                doctest_namespace["answer"] = 42
                yield
                note("down")
        """,
        test_it='''
            """
            >>> answer
            42
            """
            import unittest

            class TestIt(unittest.TestCase):
                def test_one(self): pass
                def test_two(self): pass

            def test_three(): pass
        ''',
    )
    project.run()
    project.run()
    assert project.notes == ["up", "down"]


# Unsafe ones

UNSAFE = {
    "socket": ("made = open_socket()\nyield made\nmade.close()", "it bound a socket to an address"),
    "socket pair": ("made = open_pair()\nyield made", "it left a socket open"),
    "free port": ("yield free_port()", "it bound a socket to an address"),
    "pipe": ("yield os.pipe()", "it left a pipe open"),
    "thread": ("yield start()\nstop.set()", "it started a thread"),
    "child": ("made = child()\nyield made\nmade.kill(); made.wait()", "it started a process"),
    "ended child": ("child().wait()\nyield", "it started a process"),
    "forked child": ("made = forked()\nyield made\nos.kill(made, 9); os.waitpid(made, 0)", "it forked"),
    "file to write": ("with open('log', 'w') as made: yield made", "open for writing"),
    "file to read": ("with open('conftest.py') as made: yield made", "share the position"),
    "database": ("import sqlite3\nmade = sqlite3.connect('base.db')\nyield made\nmade.close()", "it opened the database"),
    "database made": ("import sqlite3\nsqlite3.connect('base.db').close()\nyield", "it opened the database"),
    "event loop": ("made = event_loop()\nyield made\nmade.close()", "it left an event loop open"),
    "temporary folder": ("yield folder()", "to which tests of all workers would write"),
    "temporary file": ("yield make(request.config._tmp_path_factory)", "to which tests of all workers would write"),
    "pytest's folder": ("make(request.getfixturevalue(FACTORY))\nyield", "it makes temporary files"),
    "worker by variable": ("yield os.environ.get(VARIABLE)", "it asks which worker it runs in (PYTEST_XDIST_WORKER)"),
    "worker by config": ("yield hasattr(request.config, INPUT)", "it asks which worker it runs in"),
    "working directory": ("before = os.getcwd()\ngo('sub')\nyield\ngo(before)", "it changed the working directory"),
    "lock": ("import fcntl\nfile = open('lock', 'w'); fcntl.flock(file, fcntl.LOCK_EX); file.close()\nyield", "a lock of a file"),
    "shared memory": ("import mmap\nyield mmap.mmap(-1, 4096)", "memory that forked processes share"),
    "timer": ("import signal\nsignal.setitimer(signal.ITIMER_REAL, 600)\nyield\nsignal.setitimer(signal.ITIMER_REAL, 0)", "it started a timer"),
    "signal": ("import signal\nold = signal.signal(signal.SIGALRM, print)\nyield\nsignal.signal(signal.SIGALRM, old)", "what SIGALRM does"),
}
ABOVE = """
    import asyncio, socket, subprocess, sys, tempfile, threading

    FACTORY, VARIABLE = "tmp_path_" + "factory", "_".join(["PYTEST", "XDIST", "WORKER"])
    INPUT = "worker" + "input"
    stop = threading.Event()
    go = os.chdir
    folder = tempfile.mkdtemp
    event_loop = asyncio.new_event_loop
    open_pair = socket.socketpair

    def open_socket():
        made = socket.socket()
        made.bind(("127.0.0.1", 0))
        return made

    def make(factory):
        return factory.mktemp("x")

    def free_port():
        with open_socket() as made:
            return made.getsockname()[1]

    def start():
        thread = threading.Thread(target=stop.wait, daemon=True)
        thread.start()
        return thread

    def child():
        return subprocess.Popen([sys.executable, "-c", "pass"])

    def forked():
        process = os.fork()
        if process == 0:
            try:
                stop.wait()
            finally:
                os._exit(0)
        return process
"""


@pytest.fixture(scope="module")
def unsafe_runs(tmp_path_factory):
    """Two runs of one project with all of `UNSAFE`: what was told, and which processes set up and tore down what."""
    folder = tmp_path_factory.mktemp("unsafe")
    (folder / "sub").mkdir()
    fixtures = [
        f'@pytest.fixture(scope="session")\ndef {_name(kind)}(request):\n    note("up {_name(kind)}")\n'
        + textwrap.indent(body, "    ")
        + f'\n    note("down {_name(kind)}")\n'
        for kind, (body, _) in UNSAFE.items()
    ]
    project = Project(folder)
    project.write(
        # One of them changes the working directory.
        conftest=textwrap.dedent(ABOVE) + "\n".join(fixtures),
        test_it=TESTS.replace("thing", ", ".join(map(_name, UNSAFE))).replace("pass", "__import__('conftest').note('test')"),
    )
    conftest = folder / "conftest.py"
    conftest.write_text(conftest.read_text().replace('open("notes"', f'open({str(folder / "notes")!r}'))
    runs = []
    for _ in range(2):
        project.run()
        runs.append((project.output, project.processes, project.remembered()))
    return runs


def _name(kind):
    return "of_" + re.sub(r"\W", "_", kind)


@pytest.mark.parametrize("kind", UNSAFE)
def test_unsafe_fixture_is_set_up_in_every_worker_and_the_reason_is_told(unsafe_runs, kind):
    name, reason = _name(kind), UNSAFE[kind][1]
    for run, (output, processes, remembered) in enumerate(unsafe_runs):
        told = re.search(rf"^session fixture {name}: once per worker, since (.*)$", output, re.MULTILINE)
        assert reason in told.group(1) and reason in remembered[name]
        assert "set up once for all workers" not in output
        ups = processes["up " + name]
        assert sorted(ups) == sorted(processes["down " + name]) and len(ups) == len(set(ups))
        # The first run tries it, in a process of its own; the verdict holds for the second.
        workers = set(processes["test"])
        assert workers < set(ups) if run == 0 else workers == set(ups)
        assert len(ups) == len(workers) + 1 - run


@pytest.mark.parametrize(
    "body, reason",
    [
        ("import subprocess\nyield subprocess.run(['true'])", "its code uses subprocess"),
        ("yield os.environ.get('PYTEST_XDIST_WORKER')", "it asks which worker it runs in"),
        ("yield request.getfixturevalue('worker_id')", "it asks which worker it runs in (worker_id)"),
    ],
)
def test_fixture_whose_code_says_it_is_not_tried(project, body, reason):
    project.write(conftest=with_thing(body), test_it=TESTS).run()
    assert reason in project.reason("thing")
    assert 2 <= project.count("up") <= 3


def test_what_needs_an_unsafe_fixture_is_unsafe_and_the_rest_is_not(project):
    project.write(
        conftest="""
            @pytest.fixture(scope="session")
            def folder(tmp_path_factory):
                return tmp_path_factory.mktemp("x")

            @pytest.fixture(scope="session", params=[1])
            def parameter(request):
                return request.param

            @pytest.fixture(scope="session")
            def on_folder(folder): return folder

            @pytest.fixture(scope="session")
            def on_parameter(parameter): return parameter

            @pytest.fixture(scope="session")
            def given(request): return getattr(request, "param", None)

            @pytest.fixture(scope="session")
            def alone(pytestconfig): return 1
        """,
        test_it="""
            import pytest

            @pytest.mark.parametrize("number", range(12))
            def test_one(number, on_folder, on_parameter, given, alone):
                pass

            @pytest.mark.parametrize("given", [1, 2], indirect=True)
            def test_two(given):
                assert given
        """,
    ).run()
    assert project.once() == ["alone"]
    assert project.reason("folder") == "it makes temporary files (tmp_path_factory), to which tests of all workers would write"
    assert project.reason("on_folder") == f"it needs folder ({project.reason('folder')})"
    assert project.reason("on_parameter") == "it needs parameter (it is parametrised)"
    assert project.reason("given") == "a test gives it a parameter"
    assert project.remembered() == {"alone": None}


def test_what_an_unsafe_set_up_did_to_modules_is_not_seen_by_workers(project):
    # A second set-up in one process fails here, as with frameworks that register things once.
    above = """
        import socket
        registered = []

        def register():
            if registered:
                raise RuntimeError("registered already")
            registered.append(1)
            return socket.socketpair()
    """
    project.write(conftest=with_thing("yield register()", above), test_it=TESTS).run()
    assert "it left a socket open" in project.reason("thing")


def test_in_memory_database_is_inherited(project):
    body = "import sqlite3\nmade = sqlite3.connect(':memory:')\nmade.execute('create table t (x)')\nyield made\nmade.close()"
    tests = TESTS.replace("pass", "thing.execute('insert into t values (1)'); thing.commit(); thing.execute('select * from t')")
    project.write(conftest=with_thing(body), test_it=tests).run()
    assert project.once() == ["thing"]


def test_verdict_is_forgotten_when_the_source_changes(project):
    project.write(conftest=with_thing("yield os.pipe()"), test_it=TESTS).run()
    assert "pipe" in project.remembered()["thing"]
    project.write(conftest=with_thing("yield 1")).run()
    assert project.once() == ["thing"] and project.remembered() == {"thing": None}


def test_fixture_that_turned_unsafe_behind_its_source_is_found(project):
    project.write(conftest=with_thing("import made\nyield made.value()"), made="def value(): return 1", test_it=TESTS).run()
    assert project.once() == ["thing"]
    project.write(made="import os\ndef value(): return os.pipe()").run()
    assert project.once() == [] and project.reason("thing") == "it left a pipe open; it left a pipe open"
    assert "pipe" in project.remembered()["thing"]


def test_without_a_cache_it_is_tried_every_time(project):
    project.write(conftest=with_thing("yield 1"), test_it=TESTS).run("-p", "no:cacheprovider")
    assert project.once() == ["thing"] and project.count("up") == 2


def test_damaged_cache_is_no_cache(project):
    project.write(conftest=with_thing("yield 1"), test_it=TESTS).run()
    file = project.folder / ".pytest_cache" / "v" / "naja" / "session_fixtures"
    for text in ("[1, 2]", '{"a": 1}', "no json"):
        file.write_text(text)
        project.run()
        assert project.once() == ["thing"]


# Set-ups and teardowns that go wrong


@pytest.mark.parametrize("body, outcome", [("raise ValueError('no set-up')\n    yield", "errors=12"), ("pytest.skip('not here')\n    yield", "skipped=12")])
def test_set_up_that_fails_or_skips_is_reported_for_every_test(project, body, outcome):
    project.write(conftest=with_thing("if True:\n    " + body), test_it=TESTS)
    project.run("--junitxml=report.xml", code=1 if "errors" in outcome else 0)
    assert project.reason("thing") == "its set-up failed" and project.remembered() == {}
    suite = xml.etree.ElementTree.parse(str(project.folder / "report.xml")).getroot().find("testsuite")
    assert outcome in {f"{name}={suite.get(name)}" for name in ("errors", "skipped")}


def test_set_up_that_ends_the_process_is_left_to_the_workers(project):
    # It ends the trial, and no other process of the run.
    project.write(
        conftest="""
            @pytest.fixture(scope="session")
            def before(): return 1

            @pytest.fixture(scope="session")
            def thing(before):
                if not os.path.exists("ended"):
                    open("ended", "w").close()
                    os._exit(3)
                return 1

            @pytest.fixture(scope="session")
            def zebra(): return 1
        """,
        test_it=TESTS.replace("thing", "thing, zebra"),
    ).run()
    assert project.reason("thing") == "its set-up ended the process"
    assert project.reason("zebra") == "it could not be tried"
    assert project.once() == ["before"]


def test_failing_teardown_is_an_error_at_the_teardown_of_the_last_test(project):
    body = "yield 1\n    print('printed at the end')\n    raise ValueError('no end')"
    project.write(conftest=with_thing("if True:\n    " + body), test_it=TESTS)
    project.run("--junitxml=report.xml", code=1)
    assert "12 passed, 1 error" in project.output
    assert "ERROR at teardown of test_one[11]" in project.output
    assert "ValueError: no end" in project.output and "printed at the end" in project.output
    assert "no end" in (project.folder / "report.xml").read_text()


def test_exit_asked_for_by_a_set_up_ends_the_run(project):
    project.write(conftest=with_thing("pytest.exit('enough', 5)\nyield"), test_it=TESTS).run(code=5)
    assert "enough" in project.output


def test_crashed_worker_is_replaced_by_one_that_inherits_too(project):
    tests = TESTS.replace("pass", "import os\n    if number == 5: os._exit(1)")
    project.write(conftest=with_thing("yield 1"), test_it=tests)
    project.run(code=1)
    project.run(code=1)
    assert project.notes == ["up", "down"]
    assert "1 failed, 11 passed" in project.output


# What belongs to a set-up beside its value


def test_what_a_set_up_prints_logs_and_warns_of_belongs_to_the_first_test(project):
    body = "import sys, logging, warnings\nprint('printed'); print('complained', file=sys.stderr)\n"
    body += "logging.getLogger('x').error('logged')\nwarnings.warn('warned')\nyield 1"
    tests = TESTS.replace("pass", "assert number")
    project.write(conftest=with_thing(body), test_it=tests)
    for _ in range(2):
        project.run("-W", "default", code=1)
        failure = project.output.split("FAILURES")[1].split("warnings summary")[0]
        for text in ("printed", "complained", "logged"):
            assert project.output.count(text) == failure.count(text) == 1
        assert "Captured stdout setup" in failure and "Captured log setup" in failure
        assert project.output.count("UserWarning: warned") == 1
        assert "1 failed, 11 passed, 1 warning" in project.output


def test_output_of_an_unsafe_trial_is_not_seen(project):
    body = "import logging, warnings\nprint('printed')\nlogging.error('logged')\nwarnings.warn('warned')\nyield os.pipe()"
    project.write(conftest=with_thing(body), test_it=TESTS.replace("pass", "assert number != 0"))
    project.run("-s", code=1)
    printed = project.output.count("printed")
    assert printed == project.count("up") - 1


def test_warning_that_is_an_error_fails_as_in_a_serial_run(project):
    project.write(conftest=with_thing("import warnings; warnings.warn('warned')\nyield"), test_it=TESTS)
    project.run("-W", "error", code=1)
    assert "12 errors" in project.output


# Other ways to run


@pytest.mark.parametrize("workers, option", [("-n1", ""), ("-n2 --dist=each", ""), ("-n2", "--setup-show"), ("-n0", "")])
def test_runs_in_which_there_is_nothing_to_share_are_left_alone(project, workers, option):
    project.write(conftest=with_thing("yield 1"), test_it=TESTS)
    project.run(*option.split(), workers=workers)
    assert project.once() == [] and project.remembered() == {}
    assert project.count("up") == project.count("down") == len(set(project.processes["up"]))


def test_setup_plan_sets_nothing_up(project):
    project.write(conftest=with_thing("yield 1"), test_it=TESTS).run("--setup-plan")
    assert project.notes == []


def test_nothing_is_told_without_v(project):
    project.write(conftest=with_thing("yield os.pipe()"), test_it=TESTS).run("-q", "-q")
    assert "session fixture" not in project.output


def test_run_without_session_fixtures_tries_and_remembers_nothing(project):
    project.write(conftest="", test_it=TESTS.replace("thing", "request")).run()
    assert project.remembered() == {} and "session fixture" not in project.output
    assert not (project.folder / ".pytest_cache" / "v" / "naja").exists()


def test_outcomes_are_those_of_a_serial_run(project):
    project.write(
        conftest="""
            @pytest.fixture(scope="session")
            def log(): return []

            @pytest.fixture(scope="session", autouse=True)
            def always(log):
                log.append("always")

            @pytest.fixture(scope="session")
            def late(log):
                log.append("late")
                yield log

            @pytest.fixture(scope="session")
            def bad(late): raise ValueError("bad")

            @pytest.fixture(scope="class")
            def of_class(late): return late
        """,
        test_it="""
            import pytest

            @pytest.mark.parametrize("number", range(4))
            def test_late(late, number): assert late[:2] == ["always", "late"]

            class TestBad:
                def test_one(self, bad): pass
                def test_two(self, bad): pass
                def test_three(self, of_class): assert of_class is not None
                @pytest.mark.xfail
                def test_four(self, late): assert False
        """,
    )

    def outcomes(workers):
        project.run("--junitxml=report.xml", workers=workers, code=1)
        cases = xml.etree.ElementTree.parse(str(project.folder / "report.xml")).getroot().iter("testcase")
        return sorted((one.get("classname"), one.get("name"), [child.tag for child in one]) for one in cases)

    serial = outcomes("-n0")
    assert outcomes("-n3") == serial and outcomes("-n3") == serial
