"""What py-spy's `integration_test.rs` asserts of its test programs, asserted of `naja dump --json`.

In our own words, from what those tests look at. Start at `TESTS`; `Program` runs one of the programs.
"""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

# Longer than a program needs to get where a test looks at it, on a busy machine.
PATIENCE_S = 30


class NotTested(Exception):
    """This machine lacks what the test needs."""


class Context:
    """naja, an interpreter, and the folder with py-spy's programs."""

    def __init__(self, naja, python, version, scripts, requirements, cache):
        self.naja, self.python, self.version = naja, python, version
        self.minor = int(version.partition(".")[2])
        self.scripts, self.requirements, self.cache = scripts, requirements, cache

    def with_requirements(self):
        """The interpreter of an environment that has what the programs import."""
        folder = self.cache / f"env-{self.version}"
        mark = folder / "made-from"
        wanted = " ".join([str(self.python), *self.requirements])
        python = folder / "bin" / "python"
        if not (mark.is_file() and mark.read_text() == wanted):
            subprocess.run([self.python, "-m", "venv", "--clear", folder], check=True, capture_output=True)
            pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:"]
            installed = subprocess.run([*pip, *self.requirements], capture_output=True, text=True)
            if installed.returncode:
                raise NotTested(f"{' '.join(self.requirements)} cannot be installed for {self.version}")
            mark.write_text(wanted)
        return python


class Program:
    """A running program; everything that it started ends with the block."""

    def __init__(self, context, script, *, python=None, is_stepped=False):
        self.context = context
        runner = python or context.python
        # As `python`, since one of the programs is a shell script that starts it by this name.
        path = f"{Path(context.python).parent}{os.pathsep}{os.environ['PATH']}"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} if is_stepped else {"stdout": subprocess.DEVNULL}
        self.process = subprocess.Popen(
            [runner, context.scripts / script], env={**os.environ, "PATH": path}, text=True,
            stderr=subprocess.DEVNULL, start_new_session=True, **pipes)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()

    def until_line(self, expected):
        """Reads what it prints up to this line; gives the lines before."""
        before = []
        for line in self.process.stdout:
            if line.strip() == expected:
                return before
            before.append(line.strip())
        raise AssertionError(f"it ended without printing {expected}")

    def step(self, done):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.until_line(done)

    def dump(self, *options):
        """The stacks of all its threads, once."""
        command = [self.context.naja, "dump", "-p", str(self.pid), "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"naja dump ended with {done.returncode}: {done.stderr.strip()}"
        return traces(json.loads(done.stdout))

    def until(self, check, *options):
        """The first dump of which `check` is true: the program has then got there."""
        end, last = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < end:
            try:
                last = self.dump(*options)
                if check(last):
                    return last
            # A program that starts has no stack yet, or one of another form.
            except (AssertionError, ValueError, IndexError) as error:
                last = error
            time.sleep(0.02)
        raise AssertionError(f"did not come to it within {PATIENCE_S} s: {last}")


def traces(document):
    """The threads of a dump, of all its processes."""
    return document["threads"]


def names(trace):
    return [frame["name"] for frame in trace["frames"]]


def place(frame):
    return frame["name"], Path(frame["filename"]).name, frame["line"]


def in_script(script, count):
    """Whether the one thread there is has got into the script, and so deep."""
    def check(found):
        [trace] = found
        return len(trace["frames"]) == count and place(trace["frames"][-1])[:2] == ("<module>", script)
    return check


def busy_loop(context):
    with Program(context, "busyloop.py") as program:
        [trace] = program.until(lambda found: "busy_loop" in names(found[0]))
        assert trace["active"]


def thread_reuse(context):
    # Threads that live half a second each, with the functions of C code: few samples may fail.
    with Program(context, "thread_reuse.py") as program:
        program.until(lambda found: len(found) == 2)
        command = [context.naja, "record", "--native", "--json", "-d", "2", "-p", str(program.pid), "-o"]
        done = subprocess.run([*command, os.devnull, "-f", "collapsed"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"naja record ended with {done.returncode}: {done.stderr.strip()}"
        samples = json.loads(done.stderr)["samples"]
        assert samples["taken"] > 100 and samples["lost"] <= 0.03 * samples["taken"], samples


def long_sleep(context):
    with Program(context, "longsleep.py") as program:
        [trace] = program.until(in_script("longsleep.py", 2))
        assert [place(frame) for frame in trace["frames"]] == [
            ("longsleep", "longsleep.py", 5), ("<module>", "longsleep.py", 9)]
        assert not trace["owns_gil"]


def thread_names(context):
    with Program(context, "thread_names.py") as program:
        found = program.until(lambda found: len(found) == 11)
        assert {trace["thread_name"] for trace in found} == {"MainThread", *(f"CustomThreadName-{i}" for i in range(10))}


def skip_thread_names(_):
    raise AssertionError("no option of the command line does this")


def thread_names_unnamed(context):
    with Program(context, "thread_names_unnamed.py", is_stepped=True) as program:
        program.until_line("READY")
        found = sorted(trace["thread_name"] or "" for trace in program.dump())
        assert found == ["", "", "MainThread", "NamedThread-0", "NamedThread-1", "NamedThread-2"], found


def thread_names_late_import(context):
    with Program(context, "thread_names_late_import.py", is_stepped=True) as program:
        program.until_line("READY")
        [trace] = program.dump()
        assert trace["thread_name"] is None, trace["thread_name"]
        program.step("IMPORTED")
        program.until(lambda found: found[0]["thread_name"] == "MainThread")
        program.step("STARTED")
        assert {trace["thread_name"] for trace in program.dump()} == {"MainThread", "LateThread"}


def recursive(context):
    with Program(context, "recursive.py") as program:
        program.until(lambda found: "recurse" in names(found[0]))
        for _ in range(100):
            [trace] = program.dump()
            assert len(trace["frames"]) <= 22
            outermost = trace["frames"][-1]
            assert outermost["name"] == "<module>" and outermost["line"] in (7, 8), outermost


def unicode(context):
    with Program(context, "unicode\N{PILE OF POO}.py") as program:
        name = "unicode\N{PILE OF POO}.py"
        [trace] = program.until(in_script(name, 2))
        assert [place(frame) for frame in trace["frames"]] == [("function1", name, 6), ("<module>", name, 9)]
        assert not trace["owns_gil"]


def cyrillic(context):
    with Program(context, "cyrillic.py") as program:
        [trace] = program.until(in_script("cyrillic.py", 2))
        assert [(frame["name"], frame["line"]) for frame in trace["frames"]] == [("кириллица", 4), ("<module>", 7)]


def scalar(value):
    """numpy's scalars: the value, with its type or without."""
    return re.compile(rf"(\w+\()?{re.escape(value)}\)?$")


def opaque(name, value):
    """A scalar that py-spy shows by its type alone."""
    return re.compile(rf"(\w+\()?{value}|<numpy\.{name} (object )?at")


# What must stand for each local variable of its program, in their order. Texts are quoted as Python does, where py-spy
# takes double quotes.
LOCALS = {
    "arg1": "'foo'", "arg2": "None", "arg3": "True", "local1": "[-1234, 5678]", "local2": "('a', 'b', 'c')",
    "local3": "123456789123456789", "local4": "3.1415", "local5": "{'a': False, 'b': (1, 2, 3)}",
    "local6": re.compile(r"\('-{20,}"), "local7": re.compile(r"1$|bool\(True\)$"), "local8": scalar("2"),
    "local9": scalar("3"), "local10": scalar("42"), "local11": scalar("43"), "local12": scalar("44"),
    "local13": scalar("45"), "local14": scalar("46"), "local15": scalar("7"), "local16": scalar("8"),
    "local17": opaque("ulonglong", "11"), "local18": opaque("float16", r"0\.3"), "local19": scalar("0.5"),
    "local20": scalar("0.7"), "local21": opaque("longdouble", r"0\.9"), "local22": opaque("complex64", r"\(?0\.3"),
    "local23": opaque("complex128", r"\(?0\.3"), "local24": opaque("clongdouble", r"\(?0\.3"),
    "local25": re.compile("'测试1"), "local26": "''",
}


def local_vars(context):
    python = context.with_requirements()
    with Program(context, "local_vars.py", python=python) as program:
        ready = in_script("local_vars.py", 2)
        [trace] = program.until(lambda found: ready(found) and found[0]["frames"][0]["line"] == 48, "--locals")
        found = trace["frames"][0]["locals"]
        assert [one["name"] for one in found] == list(LOCALS)
        assert [one["name"] for one in found if one["arg"]] == ["arg1", "arg2", "arg3"]
        for one in found:
            expected, shown = LOCALS[one["name"]], one["repr"]
            fits = expected.match(shown) if isinstance(expected, re.Pattern) else expected == shown
            assert fits, f"{one['name']} is shown as {shown}"


def subprocesses(context):
    with Program(context, "subprocesses.py") as program:
        found = program.until(lambda found: len({trace["pid"] for trace in found}) >= 3, "--subprocesses")
        assert len(found) >= 3


def subprocesses_zombiechild(context):
    with Program(context, "subprocesses_zombie_child.py") as program:
        def has_zombie():
            pids = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
            return any(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z" for pid in pids)
        end = time.monotonic() + PATIENCE_S
        while not has_zombie():
            assert time.monotonic() < end
            time.sleep(0.02)
        found = program.dump("--subprocesses")
        assert program.pid in {trace["pid"] for trace in found}


def negative_linenumber_increment(context):
    with Program(context, "negative_linenumber_offsets.py") as program:
        # Comprehensions have no frame of their own from 3.12 on.
        count = 3 if context.minor < 12 else 2
        [trace] = program.until(in_script("negative_linenumber_offsets.py", count))
        frames = trace["frames"]
        if context.minor < 12:
            assert frames.pop(0)["name"].rpartition(".")[2] == "<listcomp>"
        assert frames[0]["name"] == "f"
        assert 5 <= trace["frames"][0]["line"] <= 10
        assert (frames[1]["name"], frames[1]["line"]) == ("<module>", 13)


def delayed_subprocess(context):
    with Program(context, "delayed_launch.sh", python="bash") as program:
        [trace] = program.until(lambda found: len(found) == 1, "--subprocesses")
        assert trace["pid"] != program.pid


def dump_subprocesses_no_duplication(context):
    with Program(context, "dump_subprocesses_threads.py", is_stepped=True) as program:
        told = dict(line.split("=") for line in program.until_line("READY"))
        pids = {int(told["PID_PARENT"]), int(told["PID_CHILD"])}
        found = program.until(lambda found: {trace["pid"] for trace in found} == pids, "--subprocesses")
        threads = [(trace["pid"], trace["os_thread_id"]) for trace in found]
        assert len(threads) == len(set(threads)) == 6, threads
        command = [context.naja, "dump", "-p", str(program.pid), "--subprocesses"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for pid in pids:
            heads = [line for line in text.splitlines() if re.match(rf"Process {pid}\b", line)]
            assert len(heads) == 1, text


TESTS = {
    f"test_{check.__name__}": check
    for check in (
        busy_loop, thread_reuse, long_sleep, thread_names, skip_thread_names, thread_names_unnamed,
        thread_names_late_import, recursive, unicode, cyrillic, local_vars, subprocesses, subprocesses_zombiechild,
        negative_linenumber_increment, delayed_subprocess, dump_subprocesses_no_duplication,
    )
}
