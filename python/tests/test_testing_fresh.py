"""`naja test` where the process that has collected may not be forked: workers are new interpreters, and say why."""

import os
import re
import signal

import pytest
from real_pytest import VERSIONS, install, wait_for


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: "python{}-pytest{}".format(*version))
def real(request, tmp_path_factory):
    return install(tmp_path_factory.getbasetemp(), *request.param)


@pytest.fixture(scope="module")
def newest(tmp_path_factory):
    return install(tmp_path_factory.getbasetemp(), *VERSIONS[-1])


FORBIDDEN = "def pytest_naja_may_fork(config): return 'the test says so'\n"
FRESH = "workers are new interpreters, which takes longer to start: "


def project(folder, conftest="", **files):
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(conftest)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def reason(done):
    """Why workers were not forked, or `None` where they were."""
    found = re.search(re.escape(FRESH) + "(.*)", done.stdout)
    return found and found.group(1)


def counts(done):
    """What pytest's last line counts, without its seconds."""
    lines = [line for line in done.stdout.splitlines() if re.search(r" in \d+\.\d+s", line)]
    assert lines, done.stdout
    return {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", lines[-1].split(" in ")[0])}


TWENTY = """
import pytest
@pytest.mark.parametrize("number", range(20))
def test_number(number, worker_id, testrun_uid, tmp_path):
    assert worker_id in ("gw0", "gw1") and testrun_uid and worker_id in str(tmp_path)
"""


def test_a_thread_that_conftest_starts_is_named_and_all_tests_run_once(real, tmp_path):
    conftest = """
import threading, time
threading.Thread(target=time.sleep, args=(600,), name="the-poller", daemon=True).start()
"""
    done = real.run(project(tmp_path, conftest, test_it=TWENTY), "-n2", "-v")
    assert reason(done) == "a thread runs: the-poller", done.stdout
    assert counts(done) == {"passed": 20}
    assert sorted(re.findall(r"PASSED test_it.py::test_number\[(\d+)\]", done.stdout), key=int) == [str(n) for n in range(20)]
    assert done.returncode == 0


@pytest.mark.parametrize(
    "conftest, expected",
    [
        ("def pytest_naja_may_fork(config): return 'a licence server counts processes'", "a licence server counts processes"),
        ("def pytest_naja_may_fork(config): return False", "a plugin forbids forking"),
        ("def pytest_naja_may_fork(config): return True", None),
        ("naja_forbids_fork = 'it holds a device'", "it holds a device"),
        ("def pytest_configure_node(node): pass", "conftest.py has the hook pytest_configure_node"),
        ("def pytest_xdist_make_scheduler(config, log): pass", None),
        (
            "def pytest_configure(config):\n    if not hasattr(config, 'workerinput'):\n        config.is_first = True",
            None,
        ),
        (
            "def pytest_configure(config):\n    name = getattr(config, 'workerinput', {}).get('workerid')",
            "pytest_configure in conftest.py looks at what a worker is given",
        ),
        (
            "import os\nDATABASE = 'test_' + os.environ.get('PYTEST_XDIST_WORKER', 'gw0')",
            "conftest.py reads PYTEST_XDIST_WORKER while it is imported",
        ),
        ("import os\ndef database(): return os.environ['PYTEST_XDIST_WORKER']", None),
    ],
)
def test_what_forbids_a_fork_is_found_and_told(newest, tmp_path, conftest, expected):
    done = newest.run(project(tmp_path, conftest, test_it=TWENTY), "-n2")
    assert reason(done) == expected, done.stdout
    assert counts(done) == {"passed": 20}


def test_a_file_lock_made_at_import_can_be_used(newest, tmp_path, tmp_path_factory):
    with_lock = install(tmp_path_factory.mktemp("filelock"), *VERSIONS[-1], "filelock==4.3.1")
    tests = "import filelock\nLOCK = filelock.FileLock('it.lock')\n" + "".join(
        f"def test_{n}():\n    with LOCK: pass\n" for n in range(4)
    )
    done = with_lock.run(project(tmp_path, test_it=tests), "-n2")
    assert reason(done) == "a lock of filelock was made at import, and refuses to be used in a fork", done.stdout
    assert counts(done) == {"passed": 4}


def test_data_goes_to_a_worker_before_it_configures_and_comes_back(real, tmp_path):
    conftest = """
def pytest_configure_node(node):
    node.workerinput["first"] = {"a": [40, 2]}

def pytest_configure(config):
    if hasattr(config, "workerinput"):
        config.workeroutput["sum"] = sum(config.workerinput["first"]["a"])

def pytest_sessionfinish(session, exitstatus):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["finished"] = int(exitstatus)

def pytest_testnodeready(node):
    print("ready", node.gateway.id, node.workerinfo["executable"] != "")

def pytest_testnodedown(node, error):
    print("down", node.gateway.id, error, node.workeroutput["sum"], node.workeroutput["finished"])
"""
    done = real.run(project(tmp_path, conftest, test_it=TWENTY), "-n2", "-s")
    for worker in ("gw0", "gw1"):
        assert f"ready {worker} True" in done.stdout, done.stdout
        assert f"down {worker} None 42 0" in done.stdout, done.stdout
    assert counts(done) == {"passed": 20}


def test_what_a_worker_collects_otherwise_is_shown_and_fails_the_run(real, tmp_path):
    tests = """
import os, pytest
@pytest.mark.parametrize("process", [os.getpid()])
def test_it(process): pass
"""
    done = real.run(project(tmp_path, FORBIDDEN, test_it=tests), "-n2")
    assert "Different tests were collected between controller and gw" in done.stdout
    assert re.search(r"^-test_it.py::test_it\[\d+\]$", done.stdout, re.M), done.stdout
    assert re.search(r"^\+test_it.py::test_it\[\d+\]$", done.stdout, re.M), done.stdout
    assert "no worker was left to run 1 test" in done.stdout
    assert done.returncode == 1


def test_another_order_of_collection_is_no_difference(newest, tmp_path):
    conftest = FORBIDDEN + """
def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        items.reverse()
"""
    done = newest.run(project(tmp_path, conftest, test_it=TWENTY), "-n2")
    assert counts(done) == {"passed": 20}


def test_a_crash_costs_its_test_alone(real, tmp_path):
    tests = TWENTY + """
def test_dies():
    import os, signal
    os.kill(os.getpid(), signal.SIGSEGV)

def test_leaves():
    import os
    os._exit(3)
""".replace('("gw0", "gw1")', "(...)")
    tests = tests.replace('worker_id in ("gw0", "gw1") and ', "")
    done = real.run(project(tmp_path, FORBIDDEN, test_it=tests), "-n2")
    assert "crashed while running 'test_it.py::test_dies': killed by SIGSEGV" in done.stdout, done.stdout
    assert "in test_dies" in done.stdout, "the stack of the crashed process"
    assert "crashed while running 'test_it.py::test_leaves': it ended with exit code 3" in done.stdout
    assert counts(done) == {"failed": 2, "passed": 20}
    assert done.returncode == 1


def test_a_worker_that_dies_while_it_configures_is_not_restarted_for_ever(newest, tmp_path):
    conftest = FORBIDDEN + """
import os
if os.environ.get("PYTEST_XDIST_WORKER"):
    os._exit(7)
"""
    done = newest.run(project(tmp_path, conftest, test_it=TWENTY), "-n2")
    assert "gw0 did not take part: it ended before it had collected: it ended with exit code 7" in done.stdout
    assert "no worker was left to run 20 tests" in done.stdout
    assert done.returncode == 1


def test_an_error_of_collection_in_workers_alone_is_reported_once(newest, tmp_path):
    tests = "import os\nassert 'PYTEST_XDIST_WORKER' not in os.environ, 'only the first one'\ndef test_it(): pass"
    done = newest.run(project(tmp_path, FORBIDDEN, test_it=tests), "-n2")
    assert done.stdout.count("ERROR test_it.py") == 1, done.stdout
    assert done.returncode == 1


def test_the_session_ends_in_each_worker(newest, tmp_path):
    conftest = FORBIDDEN + """
import pytest
@pytest.fixture(scope="session", autouse=True)
def resource(worker_id):
    yield
    open("torn-down-" + worker_id, "w").close()
"""
    done = newest.run(project(tmp_path, conftest, test_it=TWENTY), "-n2")
    assert counts(done) == {"passed": 20}
    assert {path.name for path in tmp_path.glob("torn-down-*")} == {"torn-down-gw0", "torn-down-gw1"}


@pytest.mark.parametrize("mode", ["each", "load", "loadscope", "loadfile", "loadgroup", "worksteal"])
def test_every_mode_runs_every_test(newest, tmp_path, mode):
    grouped = "import pytest\n" + "".join(
        f"@pytest.mark.xdist_group('g{n % 2}')\ndef test_{n}(worker_id): print('ran-on', {n % 2}, worker_id)\n" for n in range(8)
    )
    done = newest.run(project(tmp_path, FORBIDDEN, test_a=TWENTY, test_b=grouped), "-n2", "--dist", mode, "-rP")
    assert counts(done) == {"passed": 56 if mode == "each" else 28}, done.stdout
    if mode == "loadgroup":
        assert len(set(re.findall(r"ran-on (\d) (gw\d)", done.stdout))) == 2


def test_choosing_is_the_controllers(newest, tmp_path):
    folder = project(tmp_path, FORBIDDEN, test_it=TWENTY + "def test_other(): assert False\ndef test_third(): pass\n")
    assert counts(newest.run(folder, "-n2", "-k", "number")) == {"deselected": 2, "passed": 20}
    assert counts(newest.run(folder, "-n2")) == {"failed": 1, "passed": 21}
    assert counts(newest.run(folder, "-n2", "--lf")) == {"failed": 1}
    assert counts(newest.run(folder, "-n2", "test_it.py::test_third")) == {"passed": 1}


def test_warnings_and_properties_of_classes_that_the_controller_has_not_survive(newest, tmp_path):
    tests = """
import warnings
class Odd(UserWarning):
    def __init__(self, one, two): super().__init__("odd one")
class Thing: pass
def test_it(record_property):
    warnings.warn(Odd(1, 2))
    record_property("thing", Thing())
"""
    done = newest.run(project(tmp_path, FORBIDDEN, test_it=tests), "-n1")
    assert "odd one" in done.stdout
    assert counts(done) == {"passed": 1, "warning": 1}


def test_the_run_stops_after_so_many_failures(newest, tmp_path):
    tests = "import pytest\n@pytest.mark.parametrize('n', range(50))\ndef test_it(n): assert False"
    done = newest.run(project(tmp_path, FORBIDDEN, test_it=tests), "-n2", "--maxfail=2")
    assert counts(done)["failed"] < 50
    assert "stopping after" in done.stdout
    assert done.returncode == 1


def test_an_interrupt_and_an_exit_in_a_worker_end_the_run(newest, tmp_path):
    done = newest.run(project(tmp_path, FORBIDDEN, test_it="def test_it(): raise KeyboardInterrupt"), "-n1")
    assert "gw0 received a KeyboardInterrupt in test_it.py::test_it" in done.stdout
    assert done.returncode == 2
    done = newest.run(project(tmp_path, FORBIDDEN, test_it="import pytest\ndef test_it(): pytest.exit('over', 9)"), "-n1")
    assert "over" in done.stdout
    assert done.returncode == 9


SLOW = """
import pathlib, time, pytest
@pytest.mark.parametrize("number", range(10))
def test_slow(number):
    pathlib.Path("begun-%d" % number).touch()
    end = time.monotonic() + 60
    while not pathlib.Path("go-on").exists() and time.monotonic() < end:
        time.sleep(0.01)
"""


def test_ctrl_c_waits_for_the_test_that_runs_and_once_more_does_not(newest, tmp_path):
    for times in (1, 2):
        folder = tmp_path / str(times)
        folder.mkdir()
        started = newest.start(project(folder, FORBIDDEN, test_it=SLOW), "-n1", "-v")
        wait_for(lambda: (folder / "begun-0").exists())
        os.killpg(started.pid, signal.SIGINT)
        output = []
        for line in started.stdout:
            output.append(line)
            if "once more kills them" in line:
                if times == 1:
                    (folder / "go-on").touch()
                else:
                    os.killpg(started.pid, signal.SIGINT)
        assert started.wait() == 2
        text = "".join(output)
        assert ("PASSED" in text) == (times == 1), text
        # A test that was killed because its user wanted no more of it has not failed: it counts as not run.
        assert ("no tests ran" in text) == (times == 2) and "failed" not in text, text
        assert not (folder / "begun-1").exists(), text


def test_pytest_cov_counts_the_lines_that_fresh_workers_run(tmp_path, tmp_path_factory):
    with_cov = install(tmp_path_factory.mktemp("cov"), "3.11", "8.4.2", "pytest-cov==7.0.0", "coverage==7.10.7")
    module = "def one():\n    return 1\n\ndef two():\n    return 2\n\ndef three():\n    return 3\n"
    tests = "import module\ndef test_one(): assert module.one() == 1\ndef test_two(): assert module.two() == 2"
    folder = project(tmp_path, FORBIDDEN, module=module, test_it=tests)
    done = with_cov.run(folder, "-n2", "--cov=module", "--cov-report=term-missing", "--dist=load")
    assert re.search(r"module.py +6 +1 +83% +8", done.stdout), done.stdout
    assert counts(done) == {"passed": 2}


def test_files_of_the_worker_hide_no_module_of_the_environment(tmp_path, real):
    tests = "import watch, controller\ndef test_it(): assert watch.OWN and controller.OWN"
    folder = project(tmp_path, test_it=tests)
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in ("watch", "controller"):
        (packages / f"{name}.py").write_text("OWN = True\n")
    paths = os.pathsep.join([str(real.site), str(packages)])
    done = real.run(folder, "-d", "--tx", f"popen//python={real.interpreter}", PYTHONPATH=paths)
    assert counts(done) == {"passed": 1}, done.stdout
