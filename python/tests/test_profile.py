"""`naja.profile`: a part of a program, profiled from inside."""

import asyncio
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import pytest

import naja
from naja import _program
from naja.profiling import ProfileError


def until_seen(seconds=0.15):
    """Works until a sampler must have seen it: in processor time, so that a busy machine only makes it longer."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


def before_the_block():
    until_seen()


def rows(path, query):
    command = [_program.find(), "sql", "--json", str(path), query]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def functions(path):
    """The functions of this file or of a test's program that were on a sampled stack."""
    found = rows(path, "select distinct function from stack_frames")
    return {row["function"].rpartition(".")[2] for row in found}


def naja_children():
    """The processes of naja that this process has started and that have not ended."""
    found = []
    for task in os.listdir("/proc/self/task"):
        children = pathlib.Path(f"/proc/self/task/{task}/children").read_text().split()
        found += [int(pid) for pid in children if pathlib.Path(f"/proc/{pid}/comm").read_text() == "naja\n"]
    return found


def test_a_block_is_recorded_and_nothing_before_or_after(tmp_path):
    out = tmp_path / "out.naja"
    before_the_block()
    with naja.profile(out):
        until_seen()
    assert out.is_file()
    seen = functions(out)
    assert "until_seen" in seen
    assert "before_the_block" not in seen
    assert naja_children() == []


def test_a_decorated_function_keeps_its_name_and_its_result(tmp_path):
    @naja.profile(tmp_path / "out.naja")
    def work(factor, *, offset=0):
        """It works."""
        until_seen()
        return 7 * factor + offset

    assert (work.__name__, work.__doc__) == ("work", "It works.")
    assert work(2, offset=1) == 15
    assert {"work", "until_seen"} <= functions(tmp_path / "out.naja")


def test_a_recursive_function_is_one_recording(tmp_path):
    @naja.profile(tmp_path / "out.naja")
    def down(depth):
        if depth:
            return down(depth - 1)
        return until_seen()

    down(5)
    deepest = rows(tmp_path / "out.naja", "select max(level) as level from stack_frames")[0]["level"]
    assert deepest >= 10


def test_overlapping_calls_are_one_recording_that_ends_with_the_last(tmp_path):
    started = threading.Event()

    @naja.profile(tmp_path / "out.naja")
    def work(is_first):
        if is_first:
            started.set()
            until_seen()
        else:
            later()

    def later():
        until_seen(0.3)

    first = threading.Thread(target=work, args=(True,))
    first.start()
    started.wait()
    work(False)
    first.join()
    assert {"until_seen", "later"} <= functions(tmp_path / "out.naja")
    assert naja_children() == []


def test_a_generator_function_is_recorded_while_it_is_run_through(tmp_path):
    @naja.profile(tmp_path / "out.naja")
    def numbers():
        got = yield 1
        until_seen()
        yield got
        return 3

    generator = numbers()
    assert not (tmp_path / "out.naja").exists(), "nothing has begun"
    assert next(generator) == 1
    assert generator.send(2) == 2
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == 3
    assert "numbers" in functions(tmp_path / "out.naja")

    generator = numbers()
    next(generator)
    generator.close()
    assert naja_children() == []


def test_coroutines_and_asynchronous_blocks_are_recorded(tmp_path):
    @naja.profile(tmp_path / "decorated.naja")
    async def work():
        await asyncio.sleep(0)
        until_seen()
        return 5

    async def main():
        assert await work() == 5
        async with naja.profile(tmp_path / "block.naja"):
            await asyncio.sleep(0)
            until_seen()

    asyncio.run(main())
    assert "work" in functions(tmp_path / "decorated.naja")
    assert "until_seen" in functions(tmp_path / "block.naja")


def test_an_asynchronous_generator_function_passes_everything_on(tmp_path):
    events = []

    @naja.profile(tmp_path / "out.naja")
    async def numbers():
        try:
            events.append((yield 1))
            until_seen()
            try:
                yield 2
            except KeyError:
                yield 3
        finally:
            events.append("closed")

    async def main():
        generator = numbers()
        assert await generator.__anext__() == 1
        assert await generator.asend("sent") == 2
        assert await generator.athrow(KeyError()) == 3
        await generator.aclose()
        assert [value async for value in numbers()] == [1, 2]

    asyncio.run(main())
    assert events == ["sent", "closed", None, "closed"]
    assert "until_seen" in functions(tmp_path / "out.naja")


def test_a_task_that_is_cancelled_leaves_a_complete_file(tmp_path):
    async def main():
        entered = asyncio.Event()

        async def work():
            async with naja.profile(tmp_path / "out.naja"):
                until_seen()
                entered.set()
                await asyncio.sleep(3600)

        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert "until_seen" in functions(tmp_path / "out.naja")
    assert naja_children() == []


def test_an_exception_passes_through_and_the_file_is_complete(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with naja.profile(tmp_path / "out.naja"):
            until_seen()
            1 / 0
    assert "until_seen" in functions(tmp_path / "out.naja")


def test_all_threads_are_recorded_and_any_thread_may_begin(tmp_path):
    def other():
        until_seen(0.3)

    def profiled():
        with naja.profile(tmp_path / "out.naja"):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()

    thread = threading.Thread(target=profiled)
    thread.start()
    thread.join()
    assert "other" in functions(tmp_path / "out.naja")


def test_a_second_recording_of_the_process_is_refused_and_the_first_goes_on(tmp_path):
    with naja.profile(tmp_path / "out.naja"):
        with pytest.raises(ProfileError, match="already") as refused:
            with naja.profile(tmp_path / "other.naja"):
                pytest.fail("the block ran")
        until_seen()
    assert refused.value.name == "already-profiled"
    assert "until_seen" in functions(tmp_path / "out.naja")
    assert not (tmp_path / "other.naja").exists()
    with naja.profile(tmp_path / "other.naja"):
        until_seen()
    assert "until_seen" in functions(tmp_path / "other.naja")


def test_an_unwritable_file_is_told_before_the_block_runs(tmp_path):
    with pytest.raises(ProfileError) as refused:
        with naja.profile(tmp_path / "no such folder" / "out.naja"):
            pytest.fail("the block ran")
    assert refused.value.name, "it is one of naja's errors"
    assert "no such folder" in str(refused.value)
    assert naja_children() == []
    with naja.profile(tmp_path / "out.naja"):
        until_seen()


def test_a_missing_program_is_told(tmp_path, monkeypatch):
    def nowhere():
        raise _program.ProgramNotFound

    monkeypatch.setattr(_program, "find", nowhere)
    with pytest.raises(ProfileError, match="pip install") as refused:
        naja.profile(tmp_path / "out.naja").__enter__()
    assert refused.value.name == "program-not-found"


def test_a_naja_that_is_killed_is_a_warning_and_the_block_keeps_its_result(tmp_path):
    def work():
        with naja.profile(tmp_path / "out.naja"):
            [pid] = naja_children()
            os.kill(pid, signal.SIGKILL)
            return 9

    with pytest.warns(RuntimeWarning, match="signal 9") as told:
        assert work() == 9
    assert pathlib.Path(told[0].filename).name == "test_profile.py"
    assert naja_children() == []


def test_a_child_that_is_forked_within_the_block_does_not_end_it(tmp_path):
    with naja.profile(tmp_path / "out.naja") as block, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
        if pid == 0:
            try:
                block.__exit__(None, None, None)
                with naja.profile(tmp_path / "child.naja"):
                    until_seen()
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)
        assert os.waitpid(pid, 0)[1] == 0
        until_seen()
    assert "until_seen" in functions(tmp_path / "out.naja")
    assert "until_seen" in functions(tmp_path / "child.naja")


def test_only_functions_are_decorated(tmp_path):
    with pytest.raises(TypeError, match="functions"):
        naja.profile(tmp_path / "out.naja")(int)


def test_options_reach_the_recording(tmp_path):
    with naja.profile(tmp_path / "out.naja", rate=200, mode="wall", idle=True, gc=True, threads=True):
        time.sleep(0.2)
        until_seen()
    interval = rows(tmp_path / "out.naja", "select value from meta where key = 'interval_ns'")
    assert int(interval[0]["value"]) == 5_000_000


def test_native_functions_and_tasks_are_recorded_when_that_is_asked_for(tmp_path):
    async def main():
        task = asyncio.create_task(work(), name="the task")
        await task

    async def work():
        until_seen(0.4)

    with naja.profile(tmp_path / "tasks.naja", tasks=True):
        asyncio.run(main())
    kinds = rows(tmp_path / "tasks.naja", "select name from functions where kind = 'task'")
    assert any("the task" in row["name"] for row in kinds), kinds
    with naja.profile(tmp_path / "native.naja", native=True):
        until_seen(0.4)
    assert rows(tmp_path / "native.naja", "select name from functions where kind = 'native'")


def test_a_process_that_is_started_within_the_block_is_recorded_and_naja_is_not(tmp_path):
    with naja.profile(tmp_path / "out.naja", subprocesses=True):
        code = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
        subprocess.run([sys.executable, "-c", code], check=True)
    commands = [json.loads(row["command"]) for row in rows(tmp_path / "out.naja", "select command from processes")]
    assert any("process_time" in word for command in commands for word in command), commands
    assert not any("--ready-fd" in command for command in commands), commands


@pytest.mark.parametrize("name, start", [("out.html", "<!"), ("out.speedscope.json", "{")])
def test_the_name_of_the_file_chooses_the_format(tmp_path, name, start):
    with naja.profile(tmp_path / name):
        until_seen()
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert text.startswith(start)
    # A page has its data packed.
    assert name == "out.html" or "until_seen" in text


def test_a_program_that_ends_within_the_block_leaves_a_recording(tmp_path):
    program = textwrap.dedent("""
        import naja, os, time
        def work():
            end = time.process_time() + 0.2
            while time.process_time() < end: pass
        block = naja.profile("out.naja")
        block.__enter__()
        work()
        os._exit(3)
        """)
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path)
    assert ended.returncode == 3
    # naja ends by itself soon after; nobody is there any more who could wait for it.
    end = time.monotonic() + 30
    while not (tmp_path / "out.naja").exists() or "work" not in functions(tmp_path / "out.naja"):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_importing_naja_loads_no_profiling_and_a_look_at_it_does():
    code = "import naja, sys; assert 'naja.profiling' not in sys.modules; naja.profile; assert naja.profile is naja.profile"
    subprocess.run([sys.executable, "-c", code], check=True)
