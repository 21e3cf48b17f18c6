"""README's Python blocks run as they stand, and print what they show."""

import contextlib
import io
import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_python_block_prints_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = re.search(r"^## In Python\n.*?^```python\n(.*?)^```", README, re.M | re.S)[1]
    shown = re.findall(r"^print\(.*\) +# ([\d.]+)$", block, re.M)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "README.md", "exec"), {})
    assert shown and printed.getvalue().split() == shown


def test_the_block_about_the_tape_prints_what_it_shows():
    block = re.search(r"^## Every number of a step\n.*?^```python\n(.*?)^```", README, re.M | re.S)[1]
    shown = re.findall(r"^print\(.*\)  # (.*)$", block, re.M)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "README.md", "exec"), {})
    assert len(shown) == 6 and printed.getvalue().splitlines() == shown
