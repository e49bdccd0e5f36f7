"""`naja.memray`: memory recorded from inside of a program, and recordings read block by block."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

from naja import _program
from naja.memray import AllocatorType, FileDestination, FileFormat, FileReader, SocketDestination, SocketReader, Tracker
from naja.memray._memray import compute_statistics
from naja.memray._test import MemoryAllocator, MmapAllocator
from naja.memray.commands import main

SIZE = 123 * 8


def python(program, *words, **options):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, words)], capture_output=True, text=True, **options
    )


def of(path, allocator, size=SIZE):
    """The records of a function and a size, and what was taken back of them."""
    records = list(FileReader(path).get_allocation_records())
    given = [one for one in records if (one.allocator, one.size) == (allocator, size)]
    places = {one.address for one in given}
    taken = [one for one in records if one.allocator == AllocatorType.FREE and one.address in places]
    return given, taken


def take(allocator):
    allocator.valloc(SIZE)


def test_a_tracked_block_has_its_size_its_place_and_who_took_it(tmp_path):
    allocator = MemoryAllocator()
    with Tracker(tmp_path / "out.bin"):
        take(allocator)
        allocator.free()
    [given], [taken] = of(tmp_path / "out.bin", AllocatorType.VALLOC)
    assert given.address == taken.address != 0
    names = [name for name, _, _ in given.stack_trace()]
    assert names == ["valloc", "take", "test_a_tracked_block_has_its_size_its_place_and_who_took_it"]
    assert given.stack_trace(max_stacks=2)[1][1:] == (__file__, take.__code__.co_firstlineno + 1)


def test_calls_of_machine_code_stand_between_those_of_python_where_they_are_wanted(tmp_path):
    def key(number):
        # Larger than what Python's own allocator gives.
        return bytes(10_000 + number)

    with Tracker(tmp_path / "out.bin", native_traces=True):
        kept = sorted(range(50), key=key)
    assert kept and FileReader(tmp_path / "out.bin").metadata.has_native_traces
    records = FileReader(tmp_path / "out.bin").get_allocation_records()
    given = [one for one in records if one.allocator == AllocatorType.CALLOC and one.size > 10_000]
    assert len(given) == 50
    python_only, both = given[0].stack_trace(), given[0].hybrid_stack_trace()
    names = [name for name, _, _ in python_only]
    assert names[:2] == ["key", "test_calls_of_machine_code_stand_between_those_of_python_where_they_are_wanted"]
    # What sorts stands between the two, and the same functions are there alone: down to where the program began, as in
    # memray, where Python's end with the caller of the tracker.
    between = [name for name, _, _ in both]
    assert between.index("key") + 1 < between.index(names[1])
    native = [name for name, _, _ in given[0].native_stack_trace()]
    assert native and not set(native) & set(names[:2]) and set(native[:4]) <= set(between)


def test_nothing_is_recorded_before_or_after_the_block(tmp_path):
    allocators = [MemoryAllocator() for _ in range(3)]
    allocators[0].valloc(SIZE)
    with Tracker(tmp_path / "out.bin"):
        allocators[1].valloc(SIZE)
    allocators[2].valloc(SIZE)
    given, taken = of(tmp_path / "out.bin", AllocatorType.VALLOC)
    assert (len(given), len(taken)) == (1, 0)
    for allocator in allocators:
        allocator.free()


def test_a_process_may_be_tracked_again_and_again(tmp_path):
    for number in range(5):
        allocator = MemoryAllocator()
        with Tracker(tmp_path / f"{number}.bin"):
            allocator.valloc(SIZE + number)
            allocator.free()
        given, taken = of(tmp_path / f"{number}.bin", AllocatorType.VALLOC, SIZE + number)
        assert (len(given), len(taken)) == (1, 1)


def test_sums_agree_with_what_the_test_itself_took(tmp_path):
    allocators = [MemoryAllocator() for _ in range(200)]
    with Tracker(tmp_path / "out.bin"):
        for number, allocator in enumerate(allocators):
            allocator.valloc(1000 + number)
        for allocator in allocators[:150]:
            allocator.free()
    reader = FileReader(tmp_path / "out.bin")
    total = sum(1000 + number for number in range(200))
    left = sum(1000 + number for number in range(150, 200))

    def sums(records):
        own = [one for one in records if one.allocator == AllocatorType.VALLOC]
        return sum(one.size for one in own), sum(one.n_allocations for one in own)

    assert sums(reader.get_high_watermark_allocation_records()) == (total, 200)
    assert sums(reader.get_leaked_allocation_records()) == (left, 50)
    for allocator in allocators[150:]:
        allocator.free()


def test_the_aggregated_format_has_the_same_sums_and_no_single_records(tmp_path):
    allocator = MemoryAllocator()
    with Tracker(tmp_path / "out.bin", file_format=FileFormat.AGGREGATED_ALLOCATIONS):
        for _ in range(10):
            allocator.valloc(SIZE)
            allocator.free()
    reader = FileReader(tmp_path / "out.bin")
    own = [one for one in reader.get_high_watermark_allocation_records() if one.allocator == AllocatorType.VALLOC]
    assert [(one.size, one.n_allocations) for one in own] == [(SIZE, 1)]
    assert reader.metadata.file_format is FileFormat.AGGREGATED_ALLOCATIONS
    with pytest.raises(NotImplementedError):
        next(reader.get_allocation_records())


def test_a_part_of_a_mapping_is_taken_back_alone(tmp_path):
    page = 4096
    with Tracker(tmp_path / "out.bin"):
        pages = MmapAllocator(8 * page)
        pages.munmap(page, 3 * page)
        pages.munmap(3 * page)
        pages.munmap(4 * page, 4 * page)
    records = list(FileReader(tmp_path / "out.bin").get_allocation_records())
    found = [(one.allocator, one.size) for one in records if one.address >= pages.address]
    unmapped = [size for allocator, size in found if allocator == AllocatorType.MUNMAP]
    assert (AllocatorType.MMAP, 8 * page) in found
    assert sorted(unmapped) == [page, 3 * page, 4 * page]


def test_threads_are_told_apart_by_their_names(tmp_path):
    def work():
        allocator = MemoryAllocator()
        allocator.valloc(SIZE)
        allocator.free()

    with Tracker(tmp_path / "out.bin"):
        for name in ("one", "two"):
            thread = threading.Thread(target=work, name=name)
            thread.start()
            thread.join()
    given, _ = of(tmp_path / "out.bin", AllocatorType.VALLOC)
    assert [one.thread_name for one in given] == ["one", "two"]


def test_one_tracker_at_a_time_and_each_once(tmp_path):
    tracker = Tracker(tmp_path / "one.bin")
    with tracker, pytest.raises(RuntimeError, match="one Tracker instance"):
        Tracker(tmp_path / "two.bin").__enter__()
    with pytest.raises(RuntimeError, match="stale"):
        tracker.__enter__()


def test_an_exception_leaves_a_whole_recording(tmp_path):
    allocator = MemoryAllocator()
    with pytest.raises(KeyError), Tracker(tmp_path / "out.bin"):
        allocator.valloc(SIZE)
        raise KeyError
    assert len(of(tmp_path / "out.bin", AllocatorType.VALLOC)[0]) == 1
    allocator.free()


def test_a_killed_process_leaves_its_recording(tmp_path):
    program = """
        import os, signal, sys
        from naja.memray import Tracker
        from naja.memray._test import MemoryAllocator
        path = sys.argv[1]
        with Tracker(path):
            allocator = MemoryAllocator()
            size = os.stat(path).st_size
            while os.stat(path).st_size == size:
                allocator.valloc(1024)
                allocator.free()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = python(program, tmp_path / "out.bin")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    # naja writes what it has heard last; it is read as it is at any moment.
    given, _ = of(tmp_path / "out.bin", AllocatorType.VALLOC, 1024)
    assert given


def test_forked_children_are_recorded_where_they_are_followed(tmp_path):
    program = """
        import os, sys
        from naja.memray import Tracker
        from naja.memray._test import MemoryAllocator
        with Tracker(sys.argv[1], follow_fork=sys.argv[2] == "True"):
            allocator = MemoryAllocator()
            pid = os.fork()
            allocator.valloc(1024 if pid else 2048)
            allocator.free()
            if not pid:
                os._exit(0)
            os.waitpid(pid, 0)
        print(pid)
    """
    for follows in (True, False):
        path = tmp_path / f"{follows}.bin"
        done = python(program, path, follows)
        assert done.returncode == 0, done.stderr
        child = tmp_path / f"{follows}.bin.{done.stdout.strip()}"
        assert child.exists() == follows
        assert len(of(path, AllocatorType.VALLOC, 1024)[0]) == 1
        assert len(of(path, AllocatorType.VALLOC, 2048)[0]) == 0
    child = next(tmp_path.glob("True.bin.*"))
    assert len(of(child, AllocatorType.VALLOC, 2048)[0]) == 1
    assert len(of(child, AllocatorType.VALLOC, 1024)[0]) == 0


def test_snapshots_tell_memory_over_time(tmp_path):
    import time

    allocator = MemoryAllocator()
    with Tracker(tmp_path / "out.bin"):
        allocator.valloc(SIZE)
        time.sleep(0.1)
        allocator.free()
    reader = FileReader(tmp_path / "out.bin")
    snapshots = list(reader.get_memory_snapshots())
    assert len(snapshots) > 2
    assert all(one.rss > 0 for one in snapshots)
    assert any(one.heap >= SIZE for one in snapshots)
    lived = [one for one in reader.get_temporal_allocation_records() if one.allocator == AllocatorType.VALLOC]
    assert [interval.n_bytes for one in lived for interval in one.intervals] == [SIZE]
    records, peaks = reader.get_temporal_high_water_mark_allocation_records()
    assert len(peaks) == len(snapshots) + 1
    assert max(peaks) == reader.metadata.peak_memory


def test_what_is_in_use_is_told_over_a_port(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = """
        import sys
        from naja.memray import SocketDestination, Tracker
        from naja.memray._test import MemoryAllocator
        allocator = MemoryAllocator()
        with Tracker(destination=SocketDestination(server_port=int(sys.argv[1]))):
            allocator.valloc(1234)
            print("ready", flush=True)
            sys.stdin.readline()
            allocator.free()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child, SocketReader(port) as reader:
        assert child.stdout.readline() == b"ready\n"
        assert (reader.pid, reader.is_active) == (child.pid, True)
        found = []
        while not found:
            found = [one for one in reader.get_current_snapshot(merge_threads=False) if one.size == 1234]
        assert found[0].allocator == AllocatorType.VALLOC
        child.stdin.write(b"\n")
        child.stdin.close()
        assert child.wait() == 0
        assert not reader.is_active


def test_a_recording_of_naja_memory_run_is_read_too(tmp_path):
    (tmp_path / "app.py").write_text("kept = [bytearray(100_000) for _ in range(7)]\n")
    command = [_program.find(), "memory", "run", "-q", "-o", "app.naja", sys.executable, "app.py"]
    subprocess.run(command, check=True, cwd=tmp_path)
    reader = FileReader(tmp_path / "app.naja")
    [most] = [one for one in reader.get_high_watermark_allocation_records() if one.size == 7 * 100_001]
    assert most.n_allocations == 7
    assert most.stack_trace()[-1][:2] == ("<module>", str(tmp_path / "app.py"))
    stats = compute_statistics(tmp_path / "app.naja")
    assert stats.allocation_count_by_size[100_001] == 7
    assert stats.peak_memory_allocated == reader.metadata.peak_memory


def test_what_is_no_recording_is_said_so(tmp_path):
    cases = {
        b"memray\0and more": "memray itself",
        b"\x04\x22\x4d\x18and more": "memray itself",
        b"something else": "no recording",
        b"SQLite format 3\0 and nothing of it": "damaged",
    }
    for number, (content, words) in enumerate(cases.items()):
        path = tmp_path / str(number)
        path.write_bytes(content)
        with pytest.raises(OSError, match=words):
            FileReader(path)
    with pytest.raises(OSError, match="Could not open file"):
        FileReader(tmp_path / "missing")


def test_an_existing_file_is_overwritten_only_where_that_is_wanted(tmp_path):
    path = tmp_path / "out.bin"
    path.write_text("mine")
    with pytest.raises(OSError, match="already exists"):
        Tracker(path)
    assert path.read_text() == "mine"
    with Tracker(destination=FileDestination(path, overwrite=True)):
        pass
    assert FileReader(path).metadata.pid == os.getpid()


def test_what_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(RuntimeError, match="object lifetimes"):
        Tracker(tmp_path / "out.bin", track_object_lifetimes=True)
    with pytest.raises(RuntimeError, match="follow_fork requires"):
        Tracker(destination=SocketDestination(server_port=1), follow_fork=True)
    assert not (tmp_path / "out.bin").exists()


def test_the_command_line_runs_a_script_and_tells_of_it(tmp_path, capfd):
    (tmp_path / "app.py").write_text("import sys\nprint(sys.argv)\nkept = bytearray(3_000_000)\n")
    command = [sys.executable, "-m", "naja.memray", "run", "-o", "out.bin", "app.py", "--flag", "x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "['app.py', '--flag', 'x']" in done.stdout
    path = str(tmp_path / "out.bin")
    [most] = [one for one in FileReader(path).get_high_watermark_allocation_records() if one.size == 3_000_001]
    assert most.stack_trace() == [("<module>", str(tmp_path / "app.py"), 3)] or most.stack_trace()[0][1] == "app.py"
    for words in (["stats", path], ["summary", path], ["tree", path]):
        assert main(words) == 0
        assert "app.py:3" in capfd.readouterr().out
    assert main(["stats", "--json", path]) == 0
    figures = json.loads((tmp_path / "memray-stats-out.bin.json").read_text())
    assert figures["metadata"]["peak_memory"] >= 3_000_001
    for kind, suffix in (("csv", "csv"), ("gprof2dot", "json"), ("speedscope", "speedscope.json")):
        assert main(["transform", kind, path]) == 0
        assert "app.py" in (tmp_path / f"memray-{kind}-out.{suffix}").read_text()
    assert main(["transform", "csv", path]) == 1
    assert "will not overwrite" in capfd.readouterr().err


TESTS = """
    import pytest

    kept = []

    @pytest.mark.limit_memory("1 MB")
    def test_small():
        bytearray(1000)

    @pytest.mark.limit_memory("1 MB")
    def test_large():
        bytearray(5_000_000)

    @pytest.mark.limit_leaks("100 KB")
    def test_leaks():
        kept.append(bytearray(500_000))

    @pytest.mark.limit_leaks("100 KB", filter_fn=lambda stack: all("and_may" not in frame.function for frame in stack.frames))
    def test_leaks_and_may():
        kept.append(bytearray(500_000))

    def test_without_mark():
        kept.append(bytearray(5_000_000))
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_marks_limit_the_memory_of_tests(tmp_path, workers):
    (tmp_path / "test_it.py").write_text(textwrap.dedent(TESTS))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *workers, "--memray", "-rA"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    said = done.stdout
    assert done.returncode == 1, said + done.stderr
    assert "2 failed, 3 passed" in said or "2 MEMORY PROBLEMS" in said
    assert "Test was limited to 1.0MiB but allocated 4.8MiB" in said
    assert "test_large:" in said
    assert "Test was allowed to leak 100.0KiB per location" in said
    assert "test_leaks:" in said
    assert "MEMRAY REPORT" in said
    assert "Allocation results for test_it.py::test_without_mark" in said


def test_recordings_of_tests_are_kept_where_that_is_wanted(tmp_path):
    (tmp_path / "test_it.py").write_text("def test_it():\n    bytearray(3_000_000)\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--memray", "--memray-bin-path", "kept"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = (tmp_path / "kept").iterdir()
    assert path.name == "memray-test_it.py-test_it.bin"
    assert FileReader(path).metadata.peak_memory >= 3_000_000


def test_without_marks_and_options_no_test_is_recorded(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n    assert not any(name.startswith('naja.memray') for name in sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


def test_objects_that_go_take_their_records_with_them(tmp_path):
    """A reader keeps nothing open: what it read of a file is right after the file is gone."""
    with Tracker(tmp_path / "out.bin"):
        kept = bytearray(100_000)
    records = list(FileReader(tmp_path / "out.bin").get_high_watermark_allocation_records())
    (tmp_path / "out.bin").unlink()
    gc.collect()
    [most] = [one for one in records if one.size == 100_001]
    assert most.stack_trace()[0][0] == "test_objects_that_go_take_their_records_with_them"
    del kept
