"""`minivit explain`: whole derivations, in reading order, whatever the width of the terminal."""

import ast
import inspect
import os
import re
import shutil
from pathlib import Path

import pytest

from minivit import ops
from minivit.learn.explain import explain, reading_order

FOLDER = Path(inspect.getfile(ops)).parent
MODULES = [name for name in reading_order() if name != "optim"]


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """As wide as docstrings are written, whatever terminal the tests have."""
    monkeypatch.setenv("COLUMNS", "120")


def words(text):
    return re.findall(r"[^\W_]+", text)


def source(name):
    return (FOLDER / f"{name}.py").read_text(encoding="utf-8")


def test_the_reading_order_has_every_operation_once():
    pairs = {path.stem for path in FOLDER.glob("*.py") if "_backward(" in path.read_text(encoding="utf-8")}
    assert sorted(MODULES) == sorted(pairs - {"__init__"} | {"normal_cdf"})  # GELU's function has a file of its own


def test_without_a_name_all_are_listed_in_reading_order():
    lines = explain().splitlines()
    assert [line.split()[0] for line in lines[2:] if line[2:3].strip()] == reading_order()
    assert any("Layer normalisation: give every token zero mean" in line for line in lines)


@pytest.mark.parametrize("name", MODULES)
def test_a_derivation_is_whole(name):
    printed = explain(name)
    about = words(ast.get_docstring(ast.parse(source(name))))
    assert words(printed.split("-\n")[1])[: len(about)] == about
    for node, _ in functions(name):
        assert f"minivit/ops/{name}.py:{node.lineno}\n" in printed
        for line in ast.get_docstring(node).splitlines():
            assert line.strip() in printed


def functions(name):
    """(node, lines of code after the docstring) of every function that is shown."""
    lines = source(name).splitlines()
    for node in ast.parse(source(name)).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith(("_", "check_")):
            yield node, lines[node.body[0].end_lineno : node.end_lineno]


@pytest.mark.parametrize("name", MODULES)
def test_code_is_printed_line_by_line_with_its_steps_in_the_margin(name):
    printed = explain(name)
    for node, code in functions(name):
        after = printed.split(f"minivit/ops/{name}.py:{node.lineno}\n")[1]
        shown = after.splitlines()[-len(code) :] if node is list(functions(name))[-1][0] else after.splitlines()
        start = next(
            i for i in range(len(shown)) if re.match(r"[ ()\d]{9}  \S", shown[i]) and bare(shown[i]) == bare(code[0])
        )
        shown = shown[start : start + len(code)]
        assert [bare(line) for line in shown] == [bare(line) for line in code]
        for line, original in zip(shown, code):
            carried = re.findall(r"\(\d\)", original.split("#")[-1]) if re.search(r"# *\(\d\)", original) else []
            assert re.findall(r"\(\d\)", line[:9]) == carried


def bare(line):
    """A line of code without its steps and spaces."""
    return re.sub(r"[\s#]", "", re.sub(r"\(\d\)(?=[ (]|$)", "", line))


def test_a_line_of_the_derivation_and_the_line_of_code_that_does_it():
    printed = explain("layernorm")
    assert "\n    (2) xhat receives the gradient u = gamma·dy.\n" in printed
    assert "\n      (2)  u = dy * gamma\n" in printed


@pytest.mark.parametrize("name", ["softmax_backward", "class_token", "cross_entropy", "adamw", "dot_product"])
def test_a_function_or_a_pair_can_be_asked_for(name):
    printed = explain(name)
    shown = re.findall(r"^(\w+)\(.*\) +minivit/\S+:\d+$", printed, re.M)
    begin = (name, "registers") if name == "class_token" else name
    assert shown and all(function.startswith(begin) for function in shown)
    assert len(shown) == {"softmax_backward": 1, "adamw": 1, "class_token": 4}.get(name, 2)


def test_a_narrow_terminal_breaks_prose_and_loses_no_word(monkeypatch):
    wide = {name: explain(name) for name in MODULES}
    monkeypatch.setattr(shutil, "get_terminal_size", lambda fallback: os.terminal_size((70, 24)))
    for name in MODULES:
        narrow = explain(name)
        assert words(narrow) == words(wide[name])
        code = re.compile(r"[ ()\d]{9}  |\w+\(|-{20}")  # and headings, which may be longer
        assert max(len(line) for line in narrow.splitlines() if not code.match(line)) <= 70


def test_bold_is_for_terminals_only(monkeypatch):
    assert "\x1b" not in explain("mlp") + explain()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1mMLP\x1b[0m" in explain("mlp")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in explain("mlp")


@pytest.mark.parametrize(
    "name, hint", [("layrnorm", "did you mean layernorm"), ("softmax_back", "did you mean"), ("xyzzy", "lists what")]
)
def test_an_unknown_name_gets_a_hint_in_one_line(name, hint):
    with pytest.raises(ValueError, match=f"^nothing called '{name}' to explain: .*{hint}") as caught:
        explain(name)
    assert "\n" not in str(caught.value)
