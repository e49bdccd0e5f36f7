"""A busy program of a hundred threads that checks itself: what it counts must come out right whoever looks at it.

Prints a line of JSON when all threads run; ends at a line on standard input, and prints what it counted.
"""

import ctypes
import errno
import hashlib
import json
import os
import queue
import select
import signal
import sys
import threading
import time

THREADS = 100
END = threading.Event()
ERRORS = []
COUNTS = {}
INTERRUPTED = [0]
LIBC = ctypes.CDLL(None, use_errno=True)


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


def counts(name, amount=1):
    COUNTS.setdefault(name, []).append(amount)


def sleeps():
    # The C library's own call: Python's hides an interrupted one.
    wanted = Timespec(0, 2_000_000)
    while not END.is_set():
        if LIBC.nanosleep(ctypes.byref(wanted), None):
            INTERRUPTED[0] += ctypes.get_errno() == errno.EINTR


def waits_for_events():
    # An empty epoll: it waits its time out. (epoll_wait is the call that a stopped thread gets EINTR from.)
    poll, events = select.epoll(), ctypes.create_string_buffer(64)
    while not END.is_set():
        if LIBC.epoll_wait(poll.fileno(), events, 4, 5) < 0:
            INTERRUPTED[0] += ctypes.get_errno() == errno.EINTR
    poll.close()


def computes():
    total = 0
    while not END.is_set():
        assert sum(i * i for i in range(50)) == 40425
        total += 1
        time.sleep(0.001)
    counts("computed", total)


def hashes():
    data = bytes(100_000)
    expected = hashlib.sha256(data).hexdigest()
    while not END.is_set():
        if hashlib.sha256(data).hexdigest() != expected:
            ERRORS.append("a wrong hash")
        time.sleep(0.002)


def recurses():
    def down(depth):
        return depth if depth == 0 else down(depth - 1) + 1

    while not END.is_set():
        if down(100) != 100:
            ERRORS.append("a wrong depth")
        time.sleep(0.002)


def gives(into, number):
    given = 0
    while not END.is_set():
        into.put(number)
        given += number
        time.sleep(0.001)
    into.put(None)
    counts("given", given)


def takes(out_of):
    taken = 0
    while (number := out_of.get()) is not None:
        taken += number
    counts("taken", taken)


def writes(descriptor):
    written = 0
    while not END.is_set():
        written += os.write(descriptor, b"x" * 200)
        time.sleep(0.001)
    os.close(descriptor)
    counts("written", written)


def reads(descriptor):
    size = 0
    while part := os.read(descriptor, 4096):
        size += len(part)
    os.close(descriptor)
    counts("read", size)


HANDLED = 0


def handle(_number, _frame):
    global HANDLED
    HANDLED += 1


def signals(main):
    sent = 0
    while not END.is_set():
        # The next only when the last was handled: the kernel does not count signals that wait.
        signal.pthread_kill(main, signal.SIGUSR1)
        sent += 1
        while HANDLED < sent:
            time.sleep(0.0005)
        time.sleep(0.001)
    counts("sent", sent)


def guarded(function, arguments):
    try:
        function(*arguments)
    except BaseException as error:
        ERRORS.append(f"{function.__name__}: {error!r}")


def main():
    signal.signal(signal.SIGUSR1, handle)
    work = [(signals, (threading.get_ident(),))]
    work += [(sleeps, ())] * 20 + [(waits_for_events, ())] * 15 + [(computes, ())] * 15
    work += [(hashes, ())] * 8 + [(recurses, ())] * 8
    for number in range(8):
        line = queue.Queue()
        work += [(gives, (line, number)), (takes, (line,))]
        reader, writer = os.pipe()
        work += [(reads, (reader,)), (writes, (writer,))]
    assert len(work) == THREADS - 1
    # Threads of the C library's calls get no signals but the one that looks for them would send.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    threads = [threading.Thread(target=guarded, args=each) for each in work]
    for thread in threads:
        thread.start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    time.sleep(0.05)
    print(json.dumps({"threads": len(os.listdir("/proc/self/task"))}), flush=True)
    # Asked on the way, it says how many calls of the C library were interrupted until then.
    while sys.stdin.readline() == "interrupted\n":
        print(INTERRUPTED[0], flush=True)
    END.set()
    for thread in threads:
        thread.join()
    COUNTS["handled"] = [HANDLED]
    told = {name: sum(each) for name, each in COUNTS.items()}
    print(json.dumps({"errors": ERRORS, **told}), flush=True)


main()
