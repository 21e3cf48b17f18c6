"""The tape shows the numbers of the model's own passes, for every switch of its config."""

import ast
import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import minivit
from minivit import ViTConfig, cross_entropy_backward, cross_entropy_forward, vit_backward, vit_forward
from minivit.errors import ConfigError
from minivit.gradcheck.model_cases import SWITCHES, Switch
from minivit.learn import Bug, record
from minivit.learn.explain import explain
from minivit.learn.lines import Line
from minivit.ops import linear_forward
from minivit.preprocess import normalise

SMOOTHED = ("label smoothing", "probabilities")
MORE = {
    "no head": dict(classes=None),
    "no head, norm after the pool": dict(classes=None, norm="pool", pool="patches"),
    "embedding head": dict(embedding=True),
    "embedding MLP head": dict(embedding=True, head_hidden=7),
    "fixed positions, registers, no class token": dict(positions="sincos2d", registers=2, pool="patches"),
    "everything": dict(
        registers=2, pre_norm=True, layer_scale=0.3, gelu="quick", qkv_bias=False, head_hidden=9, norm="pool",
        pool="cls+patches", positions="sincos1d",
    ),
}  # fmt: skip
CASES = {
    **{name: switch for name, switch in SWITCHES.items() if not any(word in name for word in SMOOTHED)},
    **{name: Switch(settings) for name, settings in MORE.items()},
}
LABEL = 3
PACKAGE = Path(minivit.__file__).parent


def record_case(name: str):
    """The tape of a case; the image's numbers are like those of normalised pixels."""
    switch = CASES[name]
    image = np.random.default_rng(5).standard_normal(switch.config.image_shape)
    return record(switch.model().params, switch.config, image, LABEL)


@pytest.fixture(scope="module", params=CASES)
def tape(request):
    return record_case(request.param)


def of_the_model(config: ViTConfig, params, image):
    """(output, loss, gradients, gradient of the image) of the passes themselves."""
    output, cache = vit_forward(params, image[None], config)
    if config.predicts:
        loss, loss_cache = cross_entropy_forward(output, np.array([LABEL]))
        doutput = cross_entropy_backward(1.0, loss_cache)
    else:
        loss, doutput = -output[0, LABEL], np.zeros_like(output)
        doutput[0, LABEL] = -1
    return output[0], loss, *vit_backward(doutput, cache)


def test_the_tape_is_the_model(tape):
    params = tape.params
    output, loss, grads, dimages = of_the_model(tape.config, params, tape.steps["image"].value)
    assert np.allclose(tape.logits, output, rtol=1e-12, atol=1e-14)
    assert tape.loss == pytest.approx(float(loss), rel=1e-12)
    assert np.allclose(tape.steps["image"].grad, dimages[0], rtol=0, atol=1e-12)
    assert {name for name, step in tape.steps.items() if step.kind == "parameter"} == set(params)
    for name, gradient in grads.items():
        assert np.allclose(tape.steps[name].grad, gradient, rtol=0, atol=1e-12), name
        assert np.array_equal(tape.steps[name].value, params[name])


DIFFERENT = [  # one of each kind of graph: the passes of every switch are checked for themselves
    "model, learned, cls", "model, sincos2d, mean", "model, none, patches", "model, learned, cls+patches",
    "model, MLP head, tanh GELU, mean", "model, registers, no class token, patches", "model, LayerScale",
    "model, norm before the blocks", "no head", "no head, norm after the pool", "embedding MLP head", "everything",
]  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENT)
def test_every_gradient_is_the_slope_that_differences_measure(name):
    tape = record_case(name)
    assert tape.disagreements() == []
    for tensor in list(tape.steps)[::9]:
        slope, measured = tape.slope(tensor)
        assert slope != 0 and measured == pytest.approx(slope, rel=1e-6), tensor


@pytest.mark.parametrize("name", ["everything", "model, learned, cls"])
def test_a_finite_difference_is_the_gradients_entry(name):
    tape, rng = record_case(name), np.random.default_rng(1)
    for tensor, step in tape.steps.items():
        entry = tuple(int(rng.integers(n)) for n in step.value.shape)
        measured = tape.finite_difference(tensor, entry)
        assert measured == pytest.approx(float(step.grad[entry]), rel=1e-5, abs=1e-8), (tensor, entry)


@pytest.mark.parametrize("entry", [(0,), (0, slice(None), 1), (2, 4, 4), (0, 0, 0, 0), ()])
def test_what_is_not_one_entry_is_refused(entry):
    tape = record_case("model, one block")
    with pytest.raises(IndexError):
        tape.finite_difference("blocks.0.attn.attn", entry if entry != (2, 4, 4) else (3, 4, 4))
    with pytest.raises(KeyError):
        tape.finite_difference("blocks.1.attn.attn", (0, 0, 0))


def test_the_image_may_be_uint8():
    config = CASES["model, one block"].config
    params = CASES["model, one block"].model().params
    pixels = np.random.default_rng(2).integers(0, 256, config.image_shape, dtype=np.uint8)
    tape = record(params, config, pixels, LABEL)
    assert np.array_equal(tape.steps["image"].value, normalise(pixels[None], config, "float64")[0])


@pytest.mark.parametrize("label", [-1, 8])
def test_a_label_that_there_is_not(label):
    switch = CASES["model, one block"]
    with pytest.raises(ConfigError, match=f"^label must lie in 0..7, not {label}$"):
        record(switch.model().params, switch.config, np.zeros(switch.config.image_shape), label)


def test_threads_record_and_measure_at_once():
    tape = record_case("model, one block")
    names = list(tape.steps)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(tape.slope, names * 3))
    assert together == [tape.slope(name) for name in names] * 3


def test_recording_changes_nothing():
    switch = CASES["everything"]
    params = switch.model().params
    before, tape = params.copy(), record_case("everything")
    tape.disagreements()
    assert params == before and tape.params == params
    assert np.array_equal(record_case("everything").grads.flat, tape.grads.flat)


def test_steps_are_whole(tape):
    config = tape.config
    seen = set()
    for name, step in tape.steps.items():
        assert step.name == name and step.value.dtype == step.grad.dtype == np.float64
        assert step.value.shape == step.grad.shape and not step.value.flags.writeable
        assert set(step.inputs) <= seen and bool(step.inputs) == (step.kind in ("activation", "loss"))
        assert "x0" not in step.formula + step.grad_formula and "dy" not in step.grad_formula
        seen.add(name)
    used = {name for step in tape.steps.values() for name in step.inputs}
    assert used == seen - {"loss"}
    assert {step.block for step in tape.steps.values()} == {None, *range(config.depth)}
    T = config.tokens
    assert tape.steps["blocks.0.attn.scores"].value.shape == (config.heads, T, T)
    assert np.allclose(tape.steps["blocks.0.attn.attn"].value.sum(-1), 1)


def test_the_marked_lines_compute(tape):
    for step in tape.steps.values():
        value, gradient = at_line(step.file, step.line), at_line(step.grad_file, step.grad_line)
        assert value and gradient, step
        assert not value.endswith("_backward"), step
        assert gradient.endswith("_backward") or gradient in ("unpatchify", "feature_loss"), step


def test_every_step_has_a_derivation(tape):
    for title in {step.op for step in tape.steps.values()}:
        assert explain(title)


def test_a_gradient_that_is_right_in_some_entries_and_zero_in_the_others_disagrees():
    half = "dW = xp.matmul(rows.T, drows, out=dW)"
    bug = Bug("half", "half", "ops.linear", half, f"{half} * (xp.arange(drows.shape[1]) % 2)", "", "")
    switch, right = CASES["model, one block"], record_case("model, one block")
    tape = record(switch.model().params, switch.config, right.steps["image"].value, LABEL, bug)
    weights = [name for name in tape.steps if name.endswith("weight") and "norm" not in name]
    assert tape.disagreements() == weights[::-1] and len(weights) == 6


def test_a_line_that_is_gone_is_named():
    with pytest.raises(ValueError, match=r"^no line of ops/linear.py, linear_forward, begins with 'z = '$"):
        _ = Line(linear_forward, "z = ").number
    assert Line(linear_forward, "y = rows @ W").file == "ops/linear.py"


@functools.cache
def at_line(file: str, line: int) -> str:
    """The outermost function around a statement that computes or calls something; "" if there is none on this line."""
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    for function in tree.body:
        for node in ast.walk(function):
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.Return, ast.Expr)) and node.lineno == line:
                return getattr(function, "name", "")
    return ""
