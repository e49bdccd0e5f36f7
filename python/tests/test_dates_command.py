"""`naja dates` as the shell uses it."""

import json
import pathlib
import select
import subprocess
import sys

import pytest

NAJA = pathlib.Path(sys.prefix, "bin", "naja")


def dates(*words, **options):
    return subprocess.run([NAJA, "dates", *words], capture_output=True, text=True, **options)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-"], b"10 Jan 2020\n"),
        # `find` searches a window of 64 KiB at a time.
        (["find", "-"], b"due on 10 Jan 2020" + b" and so on" * 7000),
    ],
)
def test_dates_are_written_while_the_input_is_open(words, text):
    with subprocess.Popen([NAJA, "dates", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(text)
        process.stdin.flush()
        answered, _, _ = select.select([process.stdout], [], [], 30)
        assert answered, "nothing is written while the input is open"
        assert b"2020-01-10T00:00:00" in process.stdout.readline()
        process.stdin.close()


@pytest.mark.parametrize("words", [["rule", "FREQ=SECONDLY"], ["zones"], ["-"]])
def test_a_reader_that_goes_away_is_no_error(words):
    given = "2020-01-10\n" * 100_000
    with subprocess.Popen(
        [NAJA, "dates", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        # Nobody reads at all: what `head` does, without the time that it takes.
        process.stdout.close()
        process.stdout = None
        _, said = process.communicate(given if words == ["-"] else "")
    assert (process.returncode, said) == (0, "")


def test_a_zone_that_is_left_out_is_told_once():
    ended = dates("2020-01-10 10:00 EST", "2020-01-11 10:00 EST", "2020-01-12 10:00 UTC")
    assert ended.stdout.split() == ["2020-01-10T10:00:00", "2020-01-11T10:00:00", "2020-01-12T10:00:00Z"]
    assert ended.stderr == "warning: `EST` is no known time zone and was left out\n"
    line = json.loads(dates("--json", "2020-01-10 10:00 EST").stdout)
    assert line["warnings"] == ["unknown_zone"]


def test_help_says_what_each_command_does():
    commands = dates("-h").stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    for line in commands.splitlines():
        assert "naja dates" not in line and len(line.split()) > 3, line
