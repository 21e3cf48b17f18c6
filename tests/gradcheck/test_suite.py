"""What `minivit gradcheck` runs and draws."""

import json
import re
import sys

import pytest

from minivit import ViT, ViTConfig
from minivit.errors import MissingPackageError
from minivit.gradcheck import CASES, SWITCHES, plot_curve, run, run_model, suite
from minivit.gradcheck.curve import measure_curve
from minivit.gradcheck.suite import choose
from minivit.ops import pool_backward
from tests.tools.changed import changed_package, source_path


def test_an_operation_and_its_variants_are_checked_by_both_methods():
    results = run("attention")
    assert [(report.name, report.method) for report in results.reports] == [
        (name, method)
        for name in ("attention", "attention, no bias", "attention, mask", "attention, two queries")
        for method in ("differences", "complex")
    ]
    assert results.passed
    rows = json.loads(results.to_json())
    assert [row["tensor"] for row in rows if row["op"] == "attention, no bias"] == 2 * ["x", "Wqkv", "Wproj", "bproj"]
    assert all(set(row) == {"op", "tensor", "method", "relative_error", "passed", "problem"} for row in rows)


def test_names_choose_rows():
    assert list(choose(None)) == [*CASES, *SWITCHES]
    assert list(choose("model")) == list(SWITCHES)
    assert list(choose("model, one token")) == ["model, one token"]
    assert list(choose("pool")) == ["pool, cls", "pool, mean", "pool, patches", "pool, cls+patches"]
    with pytest.raises(ValueError, match="no operation is called 'convolution': choose one of linear, layernorm, gelu"):
        choose("convolution")
    with pytest.raises(ValueError, match="no operation is called 'atten'"):
        choose("atten")


def test_one_method_and_another_seed():
    results = run("linear", "complex", seed=5)
    assert {(report.method, report.seed) for report in results.reports} == {("complex", 5)}
    with pytest.raises(ValueError, match="unknown method 'dense': choose one of differences, complex, both"):
        run("linear", "dense")


def test_a_wrong_gradient_fails_the_command(monkeypatch):
    right = CASES["linear"]
    wrong = right._replace(backward=lambda dy, cache: tuple(-g for g in right.backward(dy, cache)))
    monkeypatch.setattr(suite, "CASES", {"linear": wrong})
    results = run("linear")
    assert not results.passed
    assert "linear (central differences, seed 0, bound 1e-08): FAILED: W: relative error 1.0e+00; worst" in str(results)
    assert "linear (complex step, seed 0, bound 1e-12): FAILED: x, W, b: relative errors of up to 1.0e+00" in str(
        results
    )
    assert str(results).splitlines()[-1].startswith("FAILED: 2 of 2 checks; worst relative error ")


def test_the_curve_is_a_v_and_float32_cannot_tell():
    curve = measure_curve()
    float32, float64 = curve.errors["float32"], curve.errors["float64"]
    assert 1e-6 < float32.min() < 1e-4 and 1e-12 < float64.min() < 1e-9
    assert curve.steps[float64.argmin()] < curve.steps[float32.argmin()]
    for errors in (float32, float64):
        assert errors[0] > 1e3 * errors.min() and errors[-1] > 1e2 * errors.min()
    assert curve.complex_step < curve.extrapolated < 1e-12


def test_the_curve_is_drawn_and_told(tmp_path):
    pytest.importorskip("matplotlib", reason='draws a picture: pip install ".[viz]"')
    text = plot_curve(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert text.splitlines()[0].startswith("central differences in float32: at best 2e-05, at h = ")
    assert text.splitlines()[-1] == f"drawn in {tmp_path / 'curve.png'}"


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        MissingPackageError, match=r"drawing needs matplotlib, which is not installed: pip install minivit\[viz"
    ):
        plot_curve("curve.png")


LAYERNORM = source_path("ops.layernorm").read_text(encoding="utf-8")


def planted(old, new, switches=6):
    """(the results of the command, the forward passes it took) with a change in ops/layernorm.py, on fewer models."""
    assert LAYERNORM.count(old) == 1
    with changed_package("ops.layernorm", LAYERNORM.replace(old, new)):
        from minivit.gradcheck import convention, suite

        suite.SWITCHES = dict(list(suite.SWITCHES.items())[:switches])
        calls, run_forward = [], convention.Pair.run_forward

        def counted(pair, inputs):
            calls.append(1)
            return run_forward(pair, inputs)

        convention.Pair.run_forward = counted
        results = suite.run()
        return results, str(results), results.to_json(), len(calls)


def test_a_red_command_takes_little_longer_than_a_green_one_and_is_short():
    line = "dx -= mean"
    green, green_text, _, green_calls = planted(line, line)
    red, text, _, calls = planted(line, line.replace("-=", "+="))
    assert green.passed and not red.passed
    assert calls <= 1.5 * green_calls
    assert [(r.name, r.method) for r in red.reports] == [(r.name, r.method) for r in green.reports]
    lines, table = text.splitlines(), len(green_text.splitlines()) - 1
    assert [line.split("  ")[0] for line in lines[:table]] == [
        x.split("  ")[0] for x in green_text.splitlines()[:table]
    ]
    failed = list(dict.fromkeys(report.name for report in red.reports if not report.passed))
    assert failed[0] == "layernorm" and len(failed) > 10
    assert lines[table].startswith("layernorm (central differences, seed 0, bound 1e-08): FAILED: x: relative error")
    assert f"{len(failed) - 3} more fail; causes were sought for the first 3" in text
    assert [line.split(":")[0] for line in lines[-len(failed) + 2 : -1]] == failed[3:]
    assert "model, learned, cls: FAILED: 29 of 35, images to blocks.1.mlp.fc2.bias" in lines
    assert len(lines) <= 2 * len(green_text.splitlines()) and max(map(len, lines)) < 500


@pytest.mark.parametrize(
    "old, new, words",
    [
        (
            "mean, rstd), dgamma, dbeta", "mean, rstd), dgamma[None], dbeta",
            r"its gradient has shape \(1, 12\), the tensor",
        ),
        (
            "u = dy * gamma  # (2)", "u = dy * gamma[:-1]",
            r"raised ValueError: operands could not be broadcast .* \(layernorm.py:\d+, in layernorm_backward\)$",
        ),
        ("xhat = x - row_means(x)", "xhat = x - row_means(z)", r"raised NameError: .* \(layernorm.py:\d+"),
    ],
    ids=["shape", "backward", "forward"],
)  # fmt: skip
def test_an_exception_in_an_operation_is_a_row_and_the_command_goes_on(old, new, words):
    results, text, rows, _ = planted(old, new, switches=2)
    assert len(results.reports) == 2 * (len(CASES) + 2)
    assert [report.name for report in results.reports if report.passed][:2] == ["linear", "linear"]
    of_layernorm = [row for row in json.loads(rows) if row["op"] == "layernorm" and row["method"] == "complex"]
    (row,) = [row for row in of_layernorm if not row["passed"]]
    assert re.match(words, row["problem"])
    assert text.splitlines()[-1].startswith("FAILED: ")
    if "raised" in words:
        assert "model, learned, mean: FAILED: " in text


def test_inputs_that_cannot_be_made_are_a_row(monkeypatch):
    def failing(draw, sizes):
        raise RuntimeError("no inputs")

    monkeypatch.setattr(
        suite, "CASES", {"linear": CASES["linear"]._replace(make=failing), "gelu, erf": CASES["gelu, erf"]}
    )
    monkeypatch.setattr(suite, "SWITCHES", {})
    results = run()
    assert [report.passed for report in results.reports] == [False, False, True, True]
    assert "linear (central differences, seed 0, bound 1e-08): FAILED: check: raised RuntimeError: no inputs" in str(
        results
    )


def test_a_model_at_hand_is_checked_tensor_by_tensor(monkeypatch):
    model = ViT(ViTConfig(depth=1, dim=8, heads=2, mlp_dim=6))
    results = run_model(model, "mine", "both")
    assert results.passed and [report.method for report in results.reports] == ["differences", "complex"]
    assert {row.tensor for row in results.reports[0].rows} >= {"images", *model.params}
    monkeypatch.setattr("minivit.model.pool_backward", lambda dy, cache: 2 * pool_backward(dy, cache))
    assert not run_model(model, "mine").passed


def test_a_model_without_a_head_is_checked():
    model = ViT(ViTConfig(depth=1, dim=8, heads=2, mlp_dim=6, classes=None, registers=2))
    assert run_model(model, "mine").passed
