"""Tests that end, hang or disturb their process: what a run of workers says of them, in real pytests of several versions."""

import os
import re
import signal
import subprocess
import sys

import pytest
from real_pytest import RUN_PYTEST, VERSIONS, install, wait_for


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: "python{}-pytest{}".format(*version))
def real(request, tmp_path_factory):
    return install(tmp_path_factory.getbasetemp(), *request.param)


@pytest.fixture(scope="module")
def newest(tmp_path_factory):
    return install(tmp_path_factory.getbasetemp(), *VERSIONS[-1])


def project(folder, conftest="", **files):
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(conftest)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def counts(done):
    """What pytest's last line counts, without its seconds."""
    lines = [line for line in done.stdout.splitlines() if re.search(r" in \d+\.\d+s", line)]
    assert lines, done.stdout
    return {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", lines[-1].split(" in ")[0])}


def lives(process):
    """Whether a process is there and is more than an entry that nobody has waited for."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def numbers_in(folder, name, count):
    """The numbers that tests have written to a file, a line each, once there are `count` of them."""
    wait_for(lambda: (folder / name).exists() and len((folder / name).read_text().split()) >= count)
    return [int(word) for word in (folder / name).read_text().split()]


NEIGHBOURS = """
import pytest
@pytest.mark.parametrize("number", range(8))
def test_neighbour(number): pass
"""

DYING = """
import ctypes, os, signal
def step(): print("printed before"); return end()
def end(): {}
def test_dying(): step()
"""


@pytest.mark.parametrize("isolate", [[], ["--isolate"]], ids=["in-workers", "isolated"])
@pytest.mark.parametrize(
    "how, said",
    [
        ("os._exit(0)", "it ended with exit code 0"),
        ("os._exit(7)", "it ended with exit code 7"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("os.killpg(0, signal.SIGKILL)", "killed by SIGKILL"),
        ("os.abort()", "killed by SIGABRT"),
        ("ctypes.string_at(0)", "killed by SIGSEGV"),
    ],
)
def test_a_test_that_dies_is_reported_with_its_stack_and_output_and_costs_no_other(newest, tmp_path, how, said, isolate):
    done = newest.run(project(tmp_path, test_a=NEIGHBOURS, test_dying=DYING.format(how)), "-n2", *isolate)
    assert done.returncode == 1, done.stdout
    assert counts(done) == {"failed": 1, "passed": 8}, done.stdout
    assert f"crashed while running 'test_dying.py::test_dying': {said}" in done.stdout, done.stdout
    assert re.search(r'test_dying.py", line 4 in end\n.*test_dying.py", line 3 in step\n', done.stdout), done.stdout
    assert "printed before" in done.stdout, done.stdout
    assert done.stdout.count("most recent call first") == 1, done.stdout


def test_a_test_that_dies_is_reported_by_every_version(real, tmp_path):
    done = real.run(project(tmp_path, test_a=NEIGHBOURS, test_dying=DYING.format("os._exit(7)")), "-n2")
    assert counts(done) == {"failed": 1, "passed": 8}, done.stdout
    assert "line 4 in end" in done.stdout and "printed before" in done.stdout, done.stdout


def test_isolated_tests_share_what_was_imported_and_nothing_that_a_test_has_changed(real, tmp_path):
    text = """
import os, pytest
changed = []
@pytest.fixture(scope="module")
def module_fixture():
    changed.append("fixture")
    return os.getpid()
@pytest.mark.parametrize("number", range(6))
def test_it(number, module_fixture, tmp_path):
    assert changed == ["fixture"] and module_fixture == os.getpid()
    assert "LEAKED" not in os.environ and os.getcwd() == os.environ["START"]
    os.environ["LEAKED"] = "1"
    os.chdir(tmp_path)
    with open(os.path.join(os.environ["START"], "pids"), "a") as file:
        file.write(f"{os.getpid()}\\n")
"""
    done = real.run(project(tmp_path, test_it=text), "-n2", "--isolate", START=str(tmp_path))
    assert counts(done) == {"passed": 6}, done.stdout
    assert len(set(numbers_in(tmp_path, "pids", 6))) == 6


def test_isolated_tests_are_ended_with_what_they_have_started(newest, tmp_path):
    text = """
import subprocess, threading, time
def test_leaving():
    child = subprocess.Popen(["sleep", "600"])
    with open("pids", "w") as file:
        file.write(str(child.pid))
    threading.Thread(target=time.sleep, args=(600,)).start()
"""
    done = newest.run(project(tmp_path, test_it=text), "--isolate")
    assert counts(done) == {"passed": 1}, done.stdout
    assert not lives(numbers_in(tmp_path, "pids", 1)[0])


@pytest.mark.parametrize(
    "body, expected",
    [
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("pytest.exit('enough of it')", "enough of it"),
    ],
)
@pytest.mark.parametrize("isolate", [[], ["--isolate"]], ids=["in-workers", "isolated"])
def test_a_test_may_end_the_run(real, tmp_path, body, expected, isolate):
    done = real.run(project(tmp_path, test_it=f"import pytest\ndef test_a(): {body}\n"), "-n1", *isolate)
    assert done.returncode == 2 and expected in done.stdout, done.stdout
    assert "failed" not in counts(done), done.stdout


STRANGE = {
    "closes its standard streams": "import os, sys\nfor number in range(3): os.close(number)",
    "closes descriptors": "import os; os.closerange(3, 256)",
    "changes directory": "import os; os.chdir('/')",
    "removes its directory": "import os, tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
    "ignores SIGTERM and SIGINT": "import signal\nfor one in (signal.SIGTERM, signal.SIGINT): signal.signal(one, signal.SIG_IGN)",
    "leaves a thread": "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()",
    "leaves a process": "import subprocess; subprocess.Popen(['sleep', '600'])",
    "prints much": "import sys; sys.stdout.write('x' * 10_000_000)",
    "prints surrogates": "print('\\udcff'); import sys; sys.stderr.write('\\ud800')",
    "changes its group": "import os; os.setpgid(0, 0)",
    "leads a session": "import os\nif os.fork() == 0:\n    os.setsid(); os._exit(0)\nos.wait()",
}


@pytest.mark.parametrize("body", STRANGE.values(), ids=STRANGE)
def test_a_strange_test_passes_and_disturbs_no_other(newest, tmp_path, body):
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    files = {"test_a": NEIGHBOURS, "test_b": f"def test_strange():\n{lines}def test_after(): pass\n"}
    done = newest.run(project(tmp_path, **files), "-n2", *(["-s"] if "os.close" in body else []))
    assert done.returncode == 0 and counts(done) == {"passed": 10}, done.stdout[-3000:]


def test_a_child_that_a_test_forks_neither_reports_nor_runs_other_tests(real, tmp_path):
    text = """
import os, pytest
def note(): open("pids", "a").write("1 ")
def test_forking():
    note()
    os.fork()
@pytest.mark.parametrize("number", range(3))
def test_after(number): note()
"""
    done = real.run(project(tmp_path, test_it=text), "-n1")
    assert counts(done) == {"passed": 4}, done.stdout
    assert len(numbers_in(tmp_path, "pids", 4)) == 4


def test_too_much_memory_fails_its_test_alone(newest, tmp_path):
    text = """
import resource
def test_hungry():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, resource.RLIM_INFINITY))
    bytearray(1 << 30)
"""
    done = newest.run(project(tmp_path, test_a=NEIGHBOURS, test_it=text), "-n2", "--isolate")
    assert counts(done) == {"failed": 1, "passed": 8} and "MemoryError" in done.stdout, done.stdout


def test_sys_exit_fails_its_test_alone(newest, tmp_path):
    done = newest.run(project(tmp_path, test_a=NEIGHBOURS, test_it="import sys\ndef test_exit(): sys.exit(3)\n"), "-n2")
    assert done.returncode == 1 and counts(done) == {"failed": 1, "passed": 8}, done.stdout


def test_surrogates_in_ids_arrive(real, tmp_path):
    text = "import pytest\n@pytest.mark.parametrize('a', [1, 2], ids=['\\udcff', 'ä'])\ndef test_it(a): assert a == 2\n"
    done = real.run(project(tmp_path, test_it=text), "-n2", PYTHONIOENCODING="utf-8:surrogateescape")
    assert counts(done) == {"failed": 1, "passed": 1}, done.stdout


@pytest.mark.parametrize(
    "files, code, said",
    [
        ({"test_b": "def test_a(:\n"}, 2, "SyntaxError"),
        ({"test_b": "import no_such_module_at_all\n"}, 2, "no_such_module_at_all"),
        ({"conftest": "raise RuntimeError('from conftest')\n"}, 4, "from conftest"),
        ({"test_a": ""}, 5, "no tests ran"),
    ],
)
def test_what_cannot_be_collected_ends_as_in_pytest(real, tmp_path, files, code, said):
    done = real.run(project(tmp_path, **{"test_a": NEIGHBOURS, **files}), "-n2")
    assert done.returncode == code and said in done.stdout, done.stdout


@pytest.mark.parametrize("option, code", [("-x", 1), ("--maxfail=2", 1)])
def test_failures_stop_the_run_with_the_code_of_pytest(real, tmp_path, option, code):
    text = "import pytest\n@pytest.mark.parametrize('n', range(200))\ndef test_it(n): assert 0\n"
    done = real.run(project(tmp_path, test_it=text), "-n2", option)
    assert done.returncode == code and "stopping after" in done.stdout, done.stdout
    assert counts(done)["failed"] < 20, done.stdout


@pytest.mark.parametrize("most", [0, 1])
def test_no_more_workers_are_replaced_than_wanted(newest, tmp_path, most):
    text = "import os, pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_it(n): os._exit(1)\n"
    done = newest.run(project(tmp_path, test_it=text), "-n1", f"--max-worker-restart={most}")
    assert counts(done) == {"failed": most + 1}, done.stdout
    assert done.returncode in (1, 2), done.stdout


def test_a_run_fails_in_which_a_plugin_has_swallowed_reports(real, tmp_path):
    conftest = """
def pytest_runtest_protocol(item):
    return True if "swallowed" in item.name else None
"""
    text = "import pytest\n@pytest.mark.parametrize('n', range(3))\ndef test_swallowed(n): pass\ndef test_told(): pass\n"
    done = real.run(project(tmp_path, conftest, test_it=text), "-n2")
    assert done.returncode == 3 and counts(done)["passed"] == 1, done.stdout
    assert "tests without an outcome" in done.stdout and "3 of the planned tests" in done.stdout, done.stdout
    assert "INTERNALERROR" not in done.stdout, done.stdout


HANGING = """
import os, time, pytest
@pytest.mark.parametrize("number", range(2))
def test_hanging(number):
    with open("pids", "a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(600)
@pytest.mark.parametrize("number", range(3))
def test_later(number): pass
"""


@pytest.mark.parametrize("isolate", [[], ["--isolate"]], ids=["in-workers", "isolated"])
def test_workers_end_with_a_pytest_that_was_killed(real, tmp_path, isolate):
    running = real.start(project(tmp_path, test_it=HANGING), "-n2", *isolate)
    pids = numbers_in(tmp_path, "pids", 2)
    running.kill()
    running.communicate()
    wait_for(lambda: not any(map(lives, pids)))


def test_once_interrupted_waits_for_the_tests_that_run_and_twice_does_not(real, tmp_path):
    running = real.start(project(tmp_path, test_it=HANGING), "-n2")
    pids = numbers_in(tmp_path, "pids", 2)
    running.send_signal(signal.SIGINT)
    line = ""
    while "once more kills them" not in line:
        line = running.stdout.readline()
        assert line, "the run has ended"
    assert all(map(lives, pids))
    running.send_signal(signal.SIGINT)
    text, _ = running.communicate(timeout=60)
    assert running.returncode == 2 and "KeyboardInterrupt" in text and "failed" not in text, text
    assert not any(map(lives, pids))


def test_sigterm_ends_the_run_at_once_and_reports(real, tmp_path):
    running = real.start(project(tmp_path, test_it=HANGING), "-n2")
    pids = numbers_in(tmp_path, "pids", 2)
    running.send_signal(signal.SIGTERM)
    text, _ = running.communicate(timeout=60)
    assert running.returncode == 2 and "no tests ran" in text, text
    assert not any(map(lives, pids))


def test_a_worker_that_does_not_end_is_killed(newest, tmp_path):
    conftest = """
import naja_testing.controller
naja_testing.controller._ENDING_S = 0.5
"""
    text = """
import atexit, os, signal, time
def test_it():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    atexit.register(time.sleep, 600)
    with open("pids", "w") as file:
        file.write(str(os.getpid()))
"""
    done = newest.run(project(tmp_path, conftest, test_it=text), "-n1")
    assert done.returncode == 0 and counts(done) == {"passed": 1}, done.stdout
    assert not lives(numbers_in(tmp_path, "pids", 1)[0])


def test_too_few_processes_mean_fewer_workers_or_a_reason(newest, tmp_path):
    conftest = """
import os
fork, forks = os.fork, []
def few():
    forks.append(1)
    if len(forks) > LEFT: raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()
os.fork = few
"""
    files = {"test_a": NEIGHBOURS}
    done = newest.run(project(tmp_path, conftest.replace("LEFT", "1"), **files), "-n2")
    assert done.returncode == 0 and counts(done) == {"passed": 8}, done.stdout
    assert "cannot start worker 2 of 2" in done.stdout, done.stdout
    done = newest.run(project(tmp_path, conftest.replace("LEFT", "0"), **files), "-n2")
    assert done.returncode == 3 and "no worker can be started" in done.stdout, done.stdout


def test_an_old_pytest_and_no_pytest_are_named(tmp_path):
    (tmp_path / "pytest.py").write_text("version_tuple, __version__ = (7, 3, 2), '7.3.2'\n")
    command = [sys.executable, str(RUN_PYTEST)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 4 and "error[pytest-too-old]" in done.stderr and "has pytest 7.3.2" in done.stderr, done.stderr
    (tmp_path / "pytest.py").write_text("raise ImportError('broken')\n")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 4 and "error[no-pytest]" in done.stderr and "hint: " in done.stderr, done.stderr


def test_the_file_that_old_pythons_see_is_written_in_what_they_know():
    import ast

    ast.parse(RUN_PYTEST.read_text(), feature_version=(3, 4))
    assert 'f"' not in RUN_PYTEST.read_text()


@pytest.mark.parametrize("words", [["-n2"], ["-n2", "--isolate"], ["-n2", "--tests-per-worker", "2"], ["-n0"]], ids=" ".join)
def test_pytest_cov_counts_the_lines_that_workers_run(tmp_path, tmp_path_factory, words):
    with_cov = install(tmp_path_factory.getbasetemp() / "cov", "3.11", "8.4.2", "pytest-cov==7.0.0", "coverage==7.10.7")
    module = "def one():\n    return 1\n\ndef two():\n    return 2\n\ndef three():\n    return 3\n"
    tests = "import module\ndef test_one(): assert module.one() == 1\ndef test_two(): assert module.two() == 2"
    folder = project(tmp_path, module=module, test_it=tests)
    done = with_cov.run(folder, *words, "--cov=module", "--cov-report=term-missing", "--cov-context=test")
    assert re.search(r"module.py +6 +1 +83% +8", done.stdout), done.stdout
    assert counts(done) == {"passed": 2}
    assert not list(folder.glob(".coverage.*")), list(folder.iterdir())
    contexts = "import coverage; data = coverage.CoverageData(); data.read(); print(sorted(data.measured_contexts()))"
    environment = {**os.environ, "PYTHONPATH": str(with_cov.site)}
    said = subprocess.run([with_cov.interpreter, "-c", contexts], cwd=folder, env=environment, capture_output=True, text=True)
    assert "test_it.py::test_one|run" in said.stdout and "test_it.py::test_two|run" in said.stdout, said


def test_what_popular_plugins_count_is_as_in_pytest_alone(tmp_path, tmp_path_factory):
    """Subtests are counted in the worker; reruns are told although no xdist is there; metadata and seeds need no workers of their own."""
    plugins = "pytest-rerunfailures==16.1", "pytest-randomly==4.0.1", "pytest-metadata==3.1.1", "pytest-mock==3.15.1"
    with_plugins = install(tmp_path_factory.getbasetemp() / "popular", "3.13", "9.2.0", *plugins)
    tests = """
import pathlib, pytest, random
@pytest.mark.flaky(reruns=2)
def test_rerun():
    runs = pathlib.Path("runs")
    before = runs.read_text() if runs.exists() else ""
    runs.write_text(before + "1")
    assert len(before) == 2
def test_sub(subtests):
    for number in range(3):
        with subtests.test(number=number): assert number != 1
def test_seed(): pathlib.Path("seed-" + str(random.random())).touch()
def test_mock(mocker):
    mocker.patch("os.getcwd", return_value="there")
    import os
    assert os.getcwd() == "there"
"""
    folder = project(tmp_path, test_it=tests)
    said = {}
    for words in ["-pno:naja"], ["-n2"], ["-n2", "--isolate"], ["-d", "--tx=2*popen"]:
        (folder / "runs").unlink(missing_ok=True)
        done = with_plugins.run(folder, *words, "-p", "randomly", "-p", "no:cacheprovider", "--randomly-seed=7", "-v")
        said[" ".join(words)] = counts(done)
        assert "new interpreters" not in done.stdout, done.stdout
    assert all(one == {"failed": 2, "passed": 3, "rerun": 2, "subtests": 2} for one in said.values()), said
    assert len(list(folder.glob("seed-*"))) == 1, "the seed is not the same for all"
