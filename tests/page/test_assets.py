"""The files of the page: what they weigh, where they come from, and that each is one function."""

import hashlib
import re

import pytest

from minivit.page import assets

OWN = [name for name in assets.names() if name.endswith(".js") and "umd" not in name]
LIBRARY = "standalone.umd.js"


def test_the_page_is_small():
    """Under 400 kB without data, and nothing lies beside it that it does not load."""
    weights = {path.name: path.stat().st_size for path in assets.STATIC.iterdir()}
    assert set(weights) == {*assets.names(), f"{LIBRARY}.txt"}
    print(f"the page weighs {sum(weights.values()):,} bytes, of which {weights[LIBRARY]:,} are the library")
    assert sum(weights.values()) < 400_000


def test_the_library_is_as_published():
    told = assets.text(f"{LIBRARY}.txt")
    assert hashlib.sha256((assets.STATIC / LIBRARY).read_bytes()).hexdigest() in told
    for fact in ("3.1.1", "Apache-2.0", "MIT", "htm/preact/standalone.umd.js"):
        assert fact in told


@pytest.mark.parametrize("name", OWN)
def test_each_script_is_one_function(name):
    text = assets.text(name)
    assert text.startswith('"use strict";\n')
    functions = re.findall(r"^(?:async )?function (\w+)", text, re.M)
    assert len(functions) == 1
    outside = [line for line in text.splitlines()[1:] if line and not line.startswith((" ", "/*", "}", "   "))]
    allowed = (f"function {functions[0]}(", f"async function {functions[0]}(", "start();")
    assert all(line.startswith(allowed) for line in outside), outside


def test_nothing_is_fetched_from_elsewhere():
    for name in assets.names():
        if name != LIBRARY:
            text = re.sub(r"http://www\.w3\.org/\S+", "", assets.text(name))
            assert not re.search(r"https?://|//cdn|@import|url\((?!data:)", text), name
            assert not re.search(r"\beval\(|new Function|innerHTML|document\.write", text), name


@pytest.mark.parametrize("name", [name for name in OWN if name != "words.js"])
def test_all_words_are_in_one_file(name):
    """What stands between tags is a variable: no text to be translated is anywhere else."""
    text = re.sub(r"\$\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}", "", assets.text(name))
    between = re.findall(r">\s*([^<>`${}]*?)\s*</", text)
    assert not [found for found in between if re.search(r"[A-Za-z]{4,}", found) and "=>" not in found]
