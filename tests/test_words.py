"""The words agree with the code: shapes, names, steps and paths that docstrings state are held against real calls."""

import ast
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from tests.docstrings import (
    MODULES,
    Call,
    arrays,
    docstring,
    flatten,
    given_and_returned,
    make_arguments,
    read_shapes,
    shapes_line,
)

ROOT = Path(__file__).parents[1]


CALLS = [
    Call("linear", "linear"),
    Call("linear", "linear", {"b": None}),
    Call("layernorm", "layernorm"),
    Call("gelu", "gelu"),
    Call("gelu", "gelu", {"form": "tanh"}),
    Call("gelu", "gelu", {"form": "quick"}),
    Call("layer_scale", "layer_scale"),
    Call("layer_scale", "layer_scale", {"gamma": None}),
    Call("softmax", "softmax"),
    Call("attention", "dot_product"),
    Call("attention", "dot_product", {"mask": None}),
    Call("attention", "attention", {"heads": 3, "queries": 2}),
    Call("attention", "attention", {"heads": 3, "queries": 2, "bqkv": None, "mask": None}),
    Call("mlp", "mlp"),
    Call("patches", "patch_embed", {"patch_size": 4}),
    Call("class_token", "class_token"),
    Call("class_token", "registers"),
    Call("positions", "add_positions"),
    Call("resize", "resize"),
    Call("dropout", "dropout", {"mask": np.ones(12)}),
    Call("dropout", "dropout", {"mask": None}),
    Call("patch_dropout", "patch_dropout", {"kept": np.array([[4, 0, 2, 1], [1, 3, 0, 4]])}),
    Call("block", "block", {"heads": 3, "queries": 2}),
    Call("pool", "pool"),
    Call("pool", "pool", {"pool": "mean"}),
    Call("pool", "pool", {"pool": "patches"}),
    Call("loss", "cross_entropy", {"labels": np.array([1, 10])}),
    Call("loss", "cross_entropy", {"labels": np.full((2, 11), 1 / 11)}),
]
LONE = [  # functions that are no pair
    Call("normal_cdf", "normal_cdf"),
    Call("normal_cdf", "reciprocal_cdf"),
    Call("normal_cdf", "log_odds_against", {"b0": 9.0, "inner": ((8.0, 7.0),), "last": (6.0, 5.0)}),
    Call("patches", "patchify", {"patch_size": 4}),
    Call("patches", "unpatchify", {"image_size": (8, 12), "patch_size": 4}),
    Call("positions", "sincos1d", {"xp": np, "T": 5, "D": 12}),
    Call("positions", "sincos2d", {"xp": np, "rows": 3, "columns": 8, "D": 12}),
    Call("resize", "interpolation_matrix", {"xp": np, "before": 6, "after": 4, "dialect": "bicubic"}),
    Call("reductions", "row_sums"),
    Call("reductions", "row_means"),
    Call("reductions", "column_sums"),
    Call("reductions", "row_dots"),
]


def identify(call):
    return "-".join(
        [call.function, *(f"{k}={v if not hasattr(v, 'shape') else 'array'}" for k, v in call.extra.items())]
    )


@pytest.mark.parametrize("call", CALLS, ids=identify)
def test_shapes_of_a_pair(call):
    module = MODULES[call.module]
    forward, backward = (getattr(module, f"{call.function}_{way}") for way in ("forward", "backward"))
    arguments = make_arguments(call, forward)
    y, cache = forward(**arguments)
    (stated,) = read_shapes(shapes_line(forward)[1]).values()
    assert y.shape == stated
    given, returned = given_and_returned(backward)
    ((name, shape),) = given.items() if len(given) == 1 else [next(iter(given.items()))]
    assert shape == y.shape and name in ("dy", "dloss")
    gradients = backward(arrays(given)[name], cache)
    leaves = flatten(gradients)
    if call.function == "block":
        assert leaves[0].shape == returned["dx"]
        groups = {"norm1": gradients[1], "attn": gradients[2], "norm2": gradients[3], "mlp": gradients[4]}
        for group, gradient in groups.items():
            assert [g.shape for g in gradient] == [a.shape for a in arguments[group]]
        return
    wanted = [f"d{argument}" for argument in arguments if f"d{argument}" in returned]
    assert list(returned) == wanted, "gradients are named after the inputs, in their order"
    for (gradient, shape), leaf in zip(returned.items(), leaves, strict=True):
        value = arguments[gradient[1:]]
        assert leaf is None if value is None else leaf.shape == shape == value.shape


@pytest.mark.parametrize("call", LONE, ids=identify)
def test_shapes_of_a_function(call):
    function = getattr(MODULES[call.module], call.function)
    before, after = shapes_line(function)
    y = function(**{**arrays(read_shapes(before)), **call.extra})
    (shape,) = read_shapes(after if re.search(r"\w+ \(", after.split(")")[0]) else f"y {after.strip()}").values()
    assert y.shape == shape


def test_no_shape_is_left_out():
    """Every public function of ops with arrays is in the tables above."""
    called = {f"{call.function}_{way}" for call in CALLS for way in ("forward", "backward")}
    called |= {call.function for call in LONE} | {"check_labels"}
    public = {
        name
        for module in MODULES.values()
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert called == public


@pytest.mark.parametrize("call", CALLS, ids=identify)
def test_caches_hold_what_their_comments_say(call):
    module = MODULES[call.module]
    forward = getattr(module, f"{call.function}_forward")
    _, cache = forward(**make_arguments(call, forward))
    if not hasattr(cache, "_fields"):
        return
    tree = next(n for n in ast.parse(inspect.getsource(module)).body if getattr(n, "name", "") == type(cache).__name__)
    lines = inspect.getsource(module).splitlines()
    for field in tree.body:
        comment = lines[field.lineno - 1].partition("#")[2]
        value = getattr(cache, field.target.id)
        stated = read_shapes(f"{field.target.id}{comment}") if comment.startswith(" (") else {}
        if isinstance(value, np.ndarray):
            assert value.shape == stated[field.target.id], f"{type(cache).__name__}.{field.target.id}"


@pytest.mark.parametrize("name", [name for name in MODULES if name != "reductions"])
def test_every_step_of_a_derivation_is_named_in_the_code(name):
    source = inspect.getsource(MODULES[name])
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_backward"):
            text = ast.get_docstring(node)
            assert "Derivation" in text, node.name
            steps = re.findall(r"^ *\((\d)\) ", text, re.M)
            assert steps == [str(i + 1) for i in range(len(steps))]
            pair = [n for n in ast.parse(source).body if getattr(n, "name", "") in (node.name, forward_of(node.name))]
            code = [line for n in pair for line in source.splitlines()[n.body[0].end_lineno : n.end_lineno]]
            marks = {step for line in code for step in re.findall(r"\((\d)\)", line.partition("#")[2])}
            assert marks == set(steps), f"{node.name}: steps {steps}, in the code {sorted(marks)}"
            if not steps:
                assert "the forward read from bottom to top" in text


def forward_of(name):
    return name.replace("_backward", "_forward")


@pytest.mark.parametrize("name", [name for name in MODULES if name != "reductions"])
def test_docstrings_have_their_parts(name):
    assert re.search(r"arXiv:\d{4}\.\d{5}|doi:10\.|JMLR", docstring(MODULES[name])), "the source is named"
    for title, function in vars(MODULES[name]).items():
        if title.endswith("_forward") and function.__module__ == MODULES[name].__name__:
            for part in ("Shapes   ", "Formula  ", "Cache    "):
                assert f"\n{part}" in docstring(function), f"{title} has no {part.strip()}"


WRITTEN = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("minivit/**/*.py"), *ROOT.glob("examples/*.py")]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_paths_that_are_named_exist(path):
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"(?<![\w/.])((?:minivit|examples|tests|benchmarks)/[\w/.-]+\.(?:py|md|png))", text)
    missing = sorted({name for name in named if not (ROOT / name).exists()})
    assert not missing, f"{path.name} names {missing}"


def test_the_readme_walks_the_whole_tour_in_order():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    scripts = sorted(path.stem for path in ROOT.glob("examples/[0-9]*.py"))
    assert re.findall(r"examples/(\d\d_\w+)\.py", readme) == scripts
    assert re.findall(r"!\[.+?\]\(examples/figures/(\w+)\.png\)", readme) == [*scripts, "augmentation"]
