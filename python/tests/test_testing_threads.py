"""`--tests-per-worker`: tests in threads have the outcomes, the texts and the fixtures that they have one by one.

Each test writes a project, runs a real pytest with the plugin in a process of its own, and reads its JUnit file.
"""

import os
import pathlib
import subprocess
import sys
import textwrap
import xml.etree.ElementTree

import pytest

PYTHON = pathlib.Path(__file__).resolve().parents[1]


class Run:
    """What one run of pytest gave."""

    def __init__(self, folder, options):
        # Tests that wait for each other in threads would wait for ever where they ran one by one.
        command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider"]
        command += ["-p", "naja.testing.plugin", "--junitxml=out.xml", *options]
        paths = [str(PYTHON), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        for name in list(environment):
            if name.startswith(("PYTEST_", "COV_")):
                del environment[name]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
        self.code, self.text = done.returncode, done.stdout + done.stderr
        self.outcomes, self.texts = {}, {}
        for case in xml.etree.ElementTree.parse(str(folder / "out.xml")).iter("testcase"):
            name = case.get("name")
            if name is None:  # a test that was interrupted before its end
                continue
            name = "::".join(filter(None, [case.get("classname").partition(".")[2], name]))
            kinds = [one.tag for one in case if one.tag in ("failure", "error", "skipped")]
            assert name not in self.outcomes or kinds == ["error"], f"{name} is reported twice: {self.text}"
            self.outcomes[name] = "+".join(filter(None, [self.outcomes.get(name), *kinds])) or "passed"
            self.texts[name] = self.texts.get(name, "") + "".join(case.itertext())


@pytest.fixture
def run(tmp_path):
    def run_project(text, *options, **files):
        for name, one in {"test_it": text, **files}.items():
            (tmp_path / (name + ".py")).write_text(textwrap.dedent(one))
        (tmp_path / "pytest.ini").write_text("[pytest]\njunit_logging = all\n")
        return Run(tmp_path, options or ("-n1", "--tests-per-worker=4"))

    return run_project


def lines(folder, name):
    return (folder / name).read_text().split()


def test_tests_of_a_worker_run_at_the_same_time(run):
    done = run("""
        import threading, pytest
        meeting = threading.Barrier(4, timeout=30)

        @pytest.mark.parametrize("number", range(8))
        def test_meets(number):
            meeting.wait()
    """)
    assert done.code == 0, done.text
    assert len(done.outcomes) == 8


def test_processes_and_threads_together_run_every_test_once(run, tmp_path):
    done = run(
        """
        import os, pytest
        @pytest.mark.parametrize("number", range(60))
        def test_notes(number):
            with open("ran", "a") as file:
                file.write(f"{number} ")
        """,
        "-n2", "--tests-per-worker=3",
    )
    assert done.code == 0, done.text
    assert sorted(map(int, lines(tmp_path, "ran"))) == list(range(60))


def test_a_function_fixture_is_made_for_each_test(run):
    done = run("""
        import threading, pytest
        meeting = threading.Barrier(4, timeout=30)

        @pytest.fixture
        def inner():
            return []

        @pytest.fixture
        def own(inner):
            inner.append(threading.get_ident())
            yield inner
            assert inner == [threading.get_ident()] * 2

        @pytest.mark.parametrize("number", range(8))
        def test_owns(own, inner, number):
            meeting.wait()
            assert own is inner and len(own) == 1
            own.append(threading.get_ident())
            meeting.wait()
    """)
    assert done.code == 0, done.text


def test_higher_fixtures_are_set_up_once_and_torn_down_after_their_last_test(run, tmp_path):
    done = run(
        """
        import threading, time, pytest
        @pytest.fixture(scope="class")
        def of_class(of_module, request):
            note("class+")
            yield
            note("class-")

        class TestOne:
            @pytest.mark.parametrize("number", range(6))
            def test_one(self, of_class, number):
                time.sleep(0.01)
                assert log()[-1] != "class-"

        @pytest.mark.parametrize("number", range(6))
        def test_two(of_module, number):
            time.sleep(0.01)
            assert "module-" not in log()

        def note(text):
            from conftest import note
            note(text)

        def log():
            from conftest import log
            return log()
        """,
        conftest="""
        import time, pytest
        def note(text):
            with open("log", "a") as file:
                file.write(text + "\\n")

        def log():
            return open("log").read().split()

        @pytest.fixture(scope="session")
        def of_session():
            note("session+")
            time.sleep(0.02)
            yield
            note("session-")

        @pytest.fixture(scope="module")
        def of_module(of_session):
            note("module+")
            time.sleep(0.02)
            yield
            note("module-")
        """,
        test_other="""
        import pytest
        @pytest.mark.parametrize("number", range(6))
        def test_three(of_session, number):
            pass
        """,
    )
    assert done.code == 0, done.text
    log = lines(tmp_path, "log")
    assert sorted(log) == sorted(["session+", "module+", "class+", "class-", "module-", "session-"]), log
    for opened, closed in (("class+", "class-"), ("class-", "module-"), ("module-", "session-")):
        assert log.index(opened) < log.index(closed)


def test_a_parametrised_module_fixture_has_one_value_at_a_time(run):
    done = run("""
        import time, pytest
        alive = []

        @pytest.fixture(scope="module", params=["a", "b", "c"])
        def value(request):
            alive.append(request.param)
            yield request.param
            alive.remove(request.param)

        @pytest.mark.parametrize("number", range(4))
        def test_value(value, number):
            time.sleep(0.01)
            assert alive == [value]
    """)
    assert done.code == 0, done.text
    assert len(done.outcomes) == 12


def test_output_logs_and_warnings_go_to_their_test(run):
    done = run("""
        import logging, sys, threading, warnings, pytest
        meeting = threading.Barrier(4, timeout=30)

        def in_a_thread(number):
            print(f"helper {number}.")

        @pytest.fixture
        def speaks(number):
            meeting.wait()
            print(f"before {number}.")
            yield
            print(f"after {number}.", file=sys.stderr)

        @pytest.mark.parametrize("number", range(8))
        def test_speaks(number, speaks, caplog):
            meeting.wait()
            print(f"out {number}.")
            sys.stdout.buffer.write(b"bytes %d.\\n" % number)
            print(f"err {number}.", file=sys.stderr)
            logging.warning("log %d.", number)
            warnings.warn(f"warning {number}.")
            helper = threading.Thread(target=in_a_thread, args=(number,))
            helper.start()
            helper.join()
            meeting.wait()
            assert [record.getMessage() for record in caplog.records] == [f"log {number}."]
            assert False
    """)
    assert done.code == 1, done.text
    for number in range(8):
        text = done.texts[f"test_speaks[{number}]"]
        for kind in ("before", "after", "out", "err", "log", "helper", "bytes"):
            for other in range(8):
                assert (f"{kind} {other}." in text) == (other == number), (kind, other, text)
        assert done.text.count(f"warning {number}.") == 1, done.text
    assert "8 warnings" in done.text


def test_asserts_are_explained_for_their_own_test(run):
    done = run(
        """
        import threading, pytest
        meeting = threading.Barrier(4, timeout=30)

        class Thing:
            def __init__(self, number):
                self.number = number

        @pytest.mark.parametrize("number", range(8))
        def test_compares(number):
            meeting.wait()
            assert Thing(number) == number
        """,
        conftest="""
        def pytest_assertrepr_compare(config, op, left, right):
            if type(left).__name__ == "Thing":
                return [f"the things {left.number} and {right} differ"]
        """,
    )
    for number in range(8):
        assert f"the things {number} and {number} differ" in done.texts[f"test_compares[{number}]"]


def test_the_current_test_is_that_of_the_thread(run):
    done = run("""
        import os, threading, pytest
        meeting = threading.Barrier(4, timeout=30)

        @pytest.fixture
        def at_set_up():
            return os.getenv("PYTEST_CURRENT_TEST")

        @pytest.mark.parametrize("number", range(8))
        def test_asks(number, at_set_up):
            meeting.wait()
            name = "PYTEST_CURRENT_TEST"
            assert at_set_up == f"test_it.py::test_asks[{number}] (setup)"
            assert getattr(os, "environ".lower())[name] == f"test_it.py::test_asks[{number}] (call)"
    """)
    assert done.code == 0, done.text


def test_an_exception_in_a_helping_thread_is_told_for_its_test(run):
    done = run("""
        import threading, pytest
        meeting = threading.Barrier(4, timeout=30)

        def fail(number):
            raise ValueError(f"of {number}")

        @pytest.mark.filterwarnings("ignore:nothing")
        def test_alone():
            pass

        @pytest.mark.parametrize("number", range(4))
        def test_helped(number):
            meeting.wait()
            helper = threading.Thread(target=fail, args=(number,))
            helper.start()
            helper.join()
            meeting.wait()
    """)
    assert done.code == 0, done.text
    summary = done.text[done.text.index("warnings summary"):]
    for number in range(4):
        place = summary.index(f"test_it.py::test_helped[{number}]")
        assert summary.index("ValueError: of ", place) == summary.index(f"ValueError: of {number}", place), summary


UNSAFE = {
    "fixture capsys": "def test_it(capsys): busy(); print('x'); assert capsys.readouterr().out == 'x\\n'",
    "fixture monkeypatch": "def test_it(monkeypatch): busy()",
    "fixture recwarn": "def test_it(recwarn): busy(); warnings.warn('x'); assert len(recwarn) == 1",
    "fixture capfd": "def test_it(capfd): busy(); os.write(1, b'x'); assert capfd.readouterr().out == 'x'",
    "mark serial": "@pytest.mark.serial\ndef test_it(): busy()",
    "mark thread_unsafe": "@pytest.mark.thread_unsafe\ndef test_it(): busy()",
    "name chdir": "def test_it(tmp_path):\n busy()\n here = os.getcwd()\n os.chdir(tmp_path)\n os.chdir(here)",
    "name environ": "def test_it(): busy(); os.environ['X'] = 'y'",
    "name signal": "def test_it(): busy(); signal.signal(signal.SIGALRM, signal.SIG_DFL)",
    "name helper": "def changes(): os.chdir('.')\ndef test_it(): busy(); changes()",
    "fixture made": "@pytest.fixture\ndef made(): os.umask(0o22)\ndef test_it(made): busy()",
    "unittest class": (
        "class TestIt(unittest.TestCase):\n @classmethod\n def setUpClass(cls): cls.x = 1\n def test_it(self): busy()"
    ),
    "mock.patch": "@unittest.mock.patch('os.sep', ':')\ndef test_it(): busy()",
}


@pytest.mark.parametrize("reason", sorted(UNSAFE))
def test_what_is_not_safe_runs_alone(run, reason):
    done = run(
        """
        import os, signal, time, unittest, unittest.mock, warnings, pytest
        busy_now = []

        @pytest.mark.parametrize("number", range(6))
        def test_others(number):
            busy_now.append(number)
            time.sleep(0.01)
            busy_now.remove(number)

        def busy():
            time.sleep(0.02)
            assert busy_now == []
"""
        + textwrap.indent(UNSAFE[reason], "        "),
        "-n1", "--tests-per-worker=3", "-vv",
    )
    assert done.code == 0, done.text
    told = reason if reason != "name helper" else "name chdir"
    assert f"alone: 1 for {told}" in done.text, done.text
    assert "1 of 7 tests run alone" in done.text


def test_without_verbose_nothing_is_told_of_tests_alone(run):
    done = run("def test_it(capsys): pass\ndef test_other(): pass")
    assert done.code == 0 and "alone" not in done.text


def test_outcomes_are_those_of_a_run_one_by_one(run):
    text = """
        import time, unittest, pytest

        @pytest.fixture(scope="module")
        def broken():
            raise ValueError("broken")

        @pytest.fixture
        def breaks_late():
            yield
            raise ValueError("late")

        def setup_module(module):
            module.set_up = True

        @pytest.mark.parametrize("number", range(5))
        def test_broken(broken, number): pass

        @pytest.mark.parametrize("number", range(5))
        def test_late(breaks_late, number): pass

        @pytest.mark.parametrize("number", range(5))
        def test_some_fail(number): assert set_up and number % 2

        def test_skips(): pytest.skip("no")

        @pytest.mark.xfail
        def test_expected(): assert False

        @pytest.mark.xfail(strict=True)
        def test_unexpected(): pass

        class TestCase(unittest.TestCase):
            def setUp(self): self.value = 1
            def test_value(self): self.assertEqual(self.value, 1)
            def test_wrong(self): self.assertEqual(self.value, 2)

        class TestClass:
            @classmethod
            def setup_class(cls): cls.made = 1
            def setup_method(self): self.value = self.made
            def test_value(self): assert self.value == 1
            def test_other(self): assert not hasattr(self, "other"); self.other = 1

        def test_raises():
            with pytest.raises(ValueError, match="x"): int("x")
    """
    one_by_one = run(text, "-p", "no:randomly")
    in_threads = run(text, "-n2", "--tests-per-worker=4")
    assert in_threads.outcomes == one_by_one.outcomes, in_threads.text
    assert in_threads.code == one_by_one.code == 1


def test_a_crash_costs_its_test_alone(run):
    done = run(
        """
        import ctypes, os, threading, time, pytest
        meeting = threading.Barrier(4, timeout=30)

        @pytest.mark.parametrize("number", range(4))
        def test_meets(number):
            first = not os.path.exists("met%d" % number)
            open("met%d" % number, "w").close()
            if first:
                meeting.wait()
            if number == 2:
                ctypes.string_at(0)
            if first:
                time.sleep(60)  # the crash is waited for

        @pytest.mark.parametrize("number", range(10))
        def test_later(number): pass
        """
    )
    assert done.code == 1, done.text
    assert done.outcomes.pop("test_meets[2]") in ("failure", "error"), done.text
    assert set(done.outcomes.values()) == {"passed"} and len(done.outcomes) == 13, done.text


@pytest.mark.parametrize("leaving", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_worker_that_ends_in_a_test_costs_this_test_alone(run, leaving):
    done = run(
        """
        import os, threading, time, pytest
        meeting = threading.Barrier(4, timeout=30)

        @pytest.mark.parametrize("number", range(4))
        def test_meets(number):
            first = not os.path.exists("met%d" % number)
            open("met%d" % number, "w").close()
            if first:
                meeting.wait()
            if number == 1:
                LEAVE
            if first:
                time.sleep(60)

        @pytest.mark.parametrize("number", range(10))
        def test_later(number): pass
        """.replace("LEAVE", leaving)
    )
    assert done.code == 1, done.text
    assert done.outcomes.pop("test_meets[1]") in ("failure", "error"), done.text
    assert set(done.outcomes.values()) == {"passed"} and len(done.outcomes) == 13, done.text


def test_a_crash_that_no_test_repeats_alone_fails_the_run(run):
    done = run(
        """
        import os, subprocess, threading, time, pytest
        meeting = threading.Barrier(2, timeout=30)

        @pytest.mark.parametrize("number", range(2))
        def test_meets(number):
            first = not os.path.exists("met%d" % number)
            open("met%d" % number, "w").close()
            if first:
                meeting.wait()
                if number == 1:
                    # From outside, so that nothing tells which test it was.
                    subprocess.run(["kill", "-9", str(os.getpid())])
                time.sleep(60)
        """,
        "-n1", "--tests-per-worker=2",
    )
    assert done.code == 1, done.text
    assert set(done.outcomes.values()) == {"passed"}, done.text
    assert "none of them does it alone" in done.text


def test_maxfail_ends_the_run_and_tests_that_run_are_reported(run):
    done = run(
        """
        import pytest
        @pytest.mark.parametrize("number", range(50))
        def test_fails(number): assert False
        """,
        "-x", "-n1", "--tests-per-worker=4",
    )
    assert done.code == 1, done.text
    assert 1 <= len(done.outcomes) <= 8, done.text
    assert "stopping after" in done.text


@pytest.mark.parametrize(("what", "code"), [("KeyboardInterrupt", 2), ("pytest.exit('enough', 5)", 5)])
def test_an_interrupt_in_a_test_lets_the_others_end(run, what, code):
    done = run(f"""
        import threading, pytest
        meeting = threading.Barrier(4, timeout=30)

        @pytest.mark.parametrize("number", range(4))
        def test_meets(number):
            meeting.wait()

        @pytest.mark.parametrize("number", range(4))
        def test_later(number):
            meeting.wait()
            if number == 3:
                raise {what}
    """)
    assert done.code == code, done.text
    assert len([name for name in done.outcomes if "later" in name and not name.endswith("[3]")]) == 3, done.text


def test_coroutines_and_loops_work_in_threads(run):
    done = run("""
        import asyncio, threading, pytest
        meeting = threading.Barrier(4, timeout=30)

        async def number_of(number):
            await asyncio.sleep(0.001)
            return number

        @pytest.mark.parametrize("number", range(8))
        def test_runs(number):
            meeting.wait()
            assert asyncio.run(number_of(number)) == number
    """)
    assert done.code == 0, done.text


def test_one_worker_where_no_number_of_workers_is_asked_for(run):
    done = run("def test_it(worker_id): assert worker_id == 'gw0'", "--tests-per-worker=auto")
    assert done.code == 0, done.text
