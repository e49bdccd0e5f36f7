"""`--tx`: workers of other Pythons, and on other hosts over ssh, which here is an sshd on this machine's loopback."""

import os
import re
import shutil
import signal
import socket
import subprocess

import pytest
from not_tested import not_tested
from real_pytest import VERSIONS, install, wait_for
from test_testing_fresh import TWENTY, counts, project


@pytest.fixture(scope="module")
def oldest(tmp_path_factory):
    return install(tmp_path_factory.getbasetemp(), *VERSIONS[0])


@pytest.fixture(scope="module")
def middle(tmp_path_factory):
    return install(tmp_path_factory.getbasetemp(), *VERSIONS[1])


@pytest.fixture(scope="module")
def newest(tmp_path_factory):
    return install(tmp_path_factory.getbasetemp(), *VERSIONS[2])


class Sshd:
    """An sshd on a port of its own, with keys and settings in a folder that is thrown away."""

    def __init__(self, folder):
        self.folder, self.program = folder, shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
        if self.program is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
            not_tested("workers over ssh: there is no sshd, ssh or ssh-keygen (Debian: openssh-server)")
        for name in ("user", "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        shutil.copy(folder / "user.pub", folder / "authorized_keys")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        if os.getuid() == 0:  # sshd wants it for the process that speaks with strangers
            os.makedirs("/run/sshd", exist_ok=True)
        (folder / "sshd_config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nPasswordAuthentication no\nMaxStartups 100\n"
        )
        self.client = folder / "ssh_config"
        self.client.write_text(
            "Host closed\n  Port 1\n"
            f"Host *\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking no\n  LogLevel ERROR\n"
        )
        self.process = subprocess.Popen([self.program, "-D", "-f", folder / "sshd_config", "-E", folder / "log"])
        wait_for(lambda: self.process.poll() is not None or self._answers(port))
        if self.process.poll() is not None or subprocess.run([*self.ssh(), "true"]).returncode:
            not_tested(f"workers over ssh: sshd did not let us in: {(folder / 'log').read_text()[-300:]}")

    def _answers(self, port):
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", port)) == 0

    def ssh(self):
        return ["ssh", "-F", str(self.client), "here"]

    def spec(self, python, chdir, host="here", times=""):
        return f"--tx={times}ssh={host}//ssh_config={self.client}//python={python}//chdir={chdir}"


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    server = Sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.process.terminate()
    server.process.wait()


VERSION_SHOWN = """
import os, pathlib, sys
def test_where():
    print("ran in", "%d.%d" % sys.version_info[:2], os.getcwd())
    assert pathlib.Path("data", "words.txt").read_text() == "one"
"""


def with_data(folder, **files):
    project(folder, **files)
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "words.txt").write_text("one")
    return folder


def test_each_python_that_is_named_runs_the_tests(newest, oldest, tmp_path):
    python = oldest.as_one_command(tmp_path)
    folder = tmp_path / "project"
    folder.mkdir()
    with_data(folder, test_it=VERSION_SHOWN)
    done = newest.run(folder, "--dist=each", f"--tx=popen//python={python}", "--tx=popen", "-rP")
    assert set(re.findall(r"ran in (\S+)", done.stdout)) == {"3.8", "3.13"}, done.stdout
    assert counts(done) == {"passed": 2}


def test_a_variable_and_a_folder_of_a_local_worker_are_its_own(newest, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    tests = "import os\ndef test_it(): print('has', os.environ['COLOUR'], os.path.basename(os.getcwd()))"
    project(folder, test_it=tests)
    done = newest.run(folder, "--dist=load", f"--tx=popen//env:COLOUR=blue//chdir={tmp_path}/elsewhere", "-rP")
    assert "has blue elsewhere" in done.stdout, done.stdout
    assert counts(done) == {"passed": 1}


def test_a_python_that_is_not_there_leaves_its_tests_to_the_others(newest, tmp_path):
    project(tmp_path, test_it=TWENTY)
    done = newest.run(tmp_path, "--dist=load", "--tx=popen//python=/no/such/python", "--tx=popen")
    assert "gw0 did not take part: popen//python=/no/such/python cannot be reached" in done.stdout, done.stdout
    assert counts(done) == {"passed": 20}


def test_a_host_gets_the_tree_and_runs_the_tests_with_its_own_python(middle, oldest, sshd, tmp_path):
    python = oldest.as_one_command(tmp_path)
    folder = tmp_path / "project"
    folder.mkdir()
    with_data(folder, test_it=VERSION_SHOWN, test_many=TWENTY.replace("and worker_id in str(tmp_path)", ""))
    (folder / ".git").mkdir()
    (folder / ".git" / "secret").write_text("not for hosts")
    (folder / "venv").mkdir()
    (folder / "venv" / "pyvenv.cfg").write_text("")
    (folder / "big.bin").write_text("")
    away = tmp_path / "away"
    done = middle.run(folder, "--dist=load", sshd.spec(python, away, times="2*"), "--rsyncignore=*.bin", "-rP")
    assert f"ran in 3.8 {away}/project" in done.stdout, done.stdout
    assert counts(done) == {"passed": 21}
    assert done.returncode == 0
    assert sorted(path.name for path in (away / "project").iterdir() if path.name != "__pycache__" and path.name != ".pytest_cache") == [
        ".naja-tree.json", "conftest.py", "data", "pytest.ini", "test_it.py", "test_many.py",
    ]


def test_only_what_differs_is_sent_again_and_what_is_gone_is_gone_there_too(middle, sshd, tmp_path):
    python = middle.as_one_command(tmp_path)
    folder = tmp_path / "project"
    folder.mkdir()
    with_data(folder, test_one="def test_one(): pass", test_two="def test_two(): pass")
    (folder / "link.txt").symlink_to("data/words.txt")
    away = tmp_path / "away"
    spec = sshd.spec(python, away)
    assert counts(middle.run(folder, "--dist=load", spec)) == {"passed": 2}
    there = away / "project"
    assert os.readlink(there / "link.txt") == "data/words.txt"
    (there / "of-the-host.txt").write_text("kept")
    before = {path.name: path.stat().st_ino for path in there.glob("*.py")}
    (folder / "test_two.py").unlink()
    (folder / "test_three.py").write_text("def test_three(): pass\ndef test_four(): pass")
    done = middle.run(folder, "--dist=load", spec)
    assert counts(done) == {"passed": 3}, done.stdout
    after = {path.name: path.stat().st_ino for path in there.glob("*.py")}
    assert set(after) == {"conftest.py", "test_one.py", "test_three.py"}
    assert after["test_one.py"] == before["test_one.py"], "a file that is the same was sent again"
    assert (there / "of-the-host.txt").exists()


def test_a_folder_that_is_sent_alone_keeps_the_names_of_its_tests(middle, sshd, tmp_path):
    python = middle.as_one_command(tmp_path)
    folder = tmp_path / "project"
    (folder / "source" / "package").mkdir(parents=True)
    project(folder)
    (folder / "source" / "package" / "test_it.py").write_text("def test_it(): pass\ndef test_not(): assert 0")
    spec = sshd.spec(python, tmp_path / "away")
    done = middle.run(folder, "--dist=load", spec, "--rsyncdir=source/package", folder / "source" / "package")
    assert "FAILED source/package/test_it.py::test_not" in done.stdout, done.stdout
    assert counts(done) == {"failed": 1, "passed": 1}
    assert (tmp_path / "away" / "package" / "test_it.py").exists()


def test_the_tests_of_a_host_that_cannot_be_reached_are_run_by_the_others(middle, sshd, tmp_path):
    python = middle.as_one_command(tmp_path)
    folder = tmp_path / "project"
    folder.mkdir()
    project(folder, test_it=TWENTY.replace("and worker_id in str(tmp_path)", ""))
    away = tmp_path / "away"
    done = middle.run(folder, "--dist=load", sshd.spec(python, away, "closed"), sshd.spec(python, away), "-v")
    assert "[gw0] does not take part: ssh=closed cannot be reached" in done.stdout, done.stdout
    assert "\ngw0 did not take part: ssh=closed cannot be reached" in done.stdout
    assert counts(done) == {"passed": 20}
    assert done.returncode == 0


def test_a_run_of_which_no_host_can_be_reached_fails(middle, sshd, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    project(folder, test_it=TWENTY)
    done = middle.run(folder, "--dist=load", sshd.spec("python", tmp_path / "away", "closed"))
    assert "no worker was left to run 20 tests" in done.stdout, done.stdout
    assert done.returncode == 1


def test_a_host_without_pytest_says_so(middle, sshd, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    project(folder, test_it="def test_it(): pass")
    bare = f"{middle.interpreter} -S"
    done = middle.run(folder, "--dist=load", sshd.spec(bare, tmp_path / "away"), "--tx=popen")
    assert "gw0 did not take part" in done.stdout and "No module named 'pytest'" in done.stdout, done.stdout
    assert counts(done) == {"passed": 1}


def test_a_connection_that_breaks_costs_the_test_that_ran(middle, sshd, tmp_path):
    python = middle.as_one_command(tmp_path)
    folder = tmp_path / "project"
    folder.mkdir()
    # The first worker ends its sshd, which for the controller is a cable that was pulled.
    tests = """
import os, signal, pytest
@pytest.mark.parametrize("number", range(6))
def test_before(number): pass
def test_cut(worker_id):
    if "away" in os.getcwd():
        process = os.getppid()
        while True:
            with open("/proc/%d/stat" % process) as file:
                name, rest = file.read().rsplit(")", 1)
            if "sshd" in name:
                os.kill(process, signal.SIGKILL)
                signal.pause()
            process = int(rest.split()[1])
@pytest.mark.parametrize("number", range(6))
def test_after(number): pass
"""
    project(folder, test_it=tests)
    if not os.path.exists("/proc/self/stat"):
        not_tested("a connection that breaks: there is no /proc to find its sshd in")
    done = middle.run(folder, "--dist=loadfile", sshd.spec(python, tmp_path / "away"), "-v")
    assert "crashed while running 'test_it.py::test_cut': the connection to ssh=here was lost" in done.stdout, done.stdout
    assert counts(done) == {"failed": 1, "passed": 12}
    assert done.returncode == 1


def test_ctrl_c_reaches_tests_on_a_host(middle, sshd, tmp_path):
    python = middle.as_one_command(tmp_path)
    for times in (1, 2):
        folder = tmp_path / str(times) / "project"
        folder.mkdir(parents=True)
        tests = f"""
import os, pathlib, time
HERE = pathlib.Path({str(tmp_path / str(times))!r})
def test_slow():
    (HERE / "begun").write_text(str(os.getpid()))
    end = time.monotonic() + 60
    while not (HERE / "go-on").exists() and time.monotonic() < end:
        time.sleep(0.01)
def test_next(): (HERE / "next").touch()
"""
        project(folder, test_it=tests)
        started = middle.start(folder, "--dist=load", sshd.spec(python, tmp_path / str(times) / "away"), "-v")
        begun = folder.parent / "begun"
        wait_for(lambda: started.poll() is not None or (begun.exists() and begun.read_text()))
        os.killpg(started.pid, signal.SIGINT)
        output = []
        for line in started.stdout:
            output.append(line)
            if "once more kills them" in line:
                if times == 1:
                    (folder.parent / "go-on").touch()
                else:
                    os.killpg(started.pid, signal.SIGINT)
        text = "".join(output)
        assert started.wait() == 2, text
        assert ("PASSED" in text) == (times == 1), text
        assert not (folder.parent / "next").exists()
        wait_for(lambda: not os.path.exists(f"/proc/{begun.read_text()}"))


def test_what_hosts_need_and_lack_is_said_before_anything_runs(newest, tmp_path):
    project(tmp_path, test_it="def test_it(): pass")
    (tmp_path / "execnet.py").write_text("raise ImportError('not here')")
    done = newest.run(tmp_path, "--dist=load", "--tx=ssh=nowhere", PYTHONPATH=f"{tmp_path}{os.pathsep}{newest.site}")
    assert "need execnet, which is not installed here; hint: python -m pip install" in done.stdout, done.stdout
    assert done.returncode == 4
    (tmp_path / "execnet.py").unlink()
    done = newest.run(tmp_path, "--dist=load", "--tx=ssh=nowhere", "--rsyncdir=missing")
    assert "the folder of --rsyncdir does not exist: missing" in done.stdout
    assert done.returncode == 4
