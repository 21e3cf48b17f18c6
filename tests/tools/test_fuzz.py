"""Damaged files are refused in one line, or read; and the tool that says so would notice anything else."""

import os
import re
import time

import pytest

from minivit.errors import DataError
from tests.tools import tiny
from tests.tools.fuzz import Sample, attempt


def test_a_few_hundred_damaged_files():
    """In a process of its own, whose memory is limited. The tool makes ten thousand in a minute."""
    status, out, errors = tiny.minivit("450", "--seed", "0", program=("-m", "tests.tools.fuzz"))
    assert (status, errors) == (0, ""), out
    *_, counts, total = out.splitlines()
    assert re.fullmatch(r"450 damaged files of \d+ kinds, 0 failures", total)
    refused = [int(number) for number in re.findall(r"(\d+) of \d+ refused", counts)]
    assert len(refused) >= 7 and min(refused) > 0 and sum(refused) > 150


def fail(path):
    raise ValueError("a bug")


def take_long(path):
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass


def say_much(path):
    raise DataError(f"{path} is damaged\nin two places")


def say_little(path):
    raise DataError("it is damaged")


def say_too_much(path):
    raise DataError(f"{path} holds {list(range(1000))}")


PROBLEMS = {
    fail: "ValueError: a bug",
    take_long: r"it took 0\.\d s",
    say_much: "several lines",
    say_little: "does not name the file",
    say_too_much: "has \\d+ characters",
}


@pytest.mark.parametrize("reader", PROBLEMS, ids=lambda reader: reader.__name__)
def test_what_the_tool_calls_a_failure(reader, tmp_path):
    assert re.search(PROBLEMS[reader], attempt(Sample(tmp_path / "file", reader), seconds=0.02).problem)


def test_what_it_does_not():
    for reader in (lambda path: 1, lambda path: open(path / "none")):
        assert attempt(Sample(tiny.ROOT, reader)).problem is None


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux says how much memory is taken")
def test_memory_taken_on_a_headers_word_is_noticed():
    program = "from tests.tools.fuzz import limit_memory; limit_memory(); bytes(1 << 31)"
    status, _, errors = tiny.python(program)
    assert status == 1 and "MemoryError" in errors
