"""What `minivit gradcheck` runs and draws."""

import json
import sys

import pytest

from minivit.errors import MissingPackageError
from minivit.gradcheck import CASES, SWITCHES, plot_curve, run, suite
from minivit.gradcheck.curve import measure_curve
from minivit.gradcheck.suite import choose


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
    assert all(set(row) == {"op", "tensor", "method", "relative_error", "passed"} for row in rows)


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
    assert "linear (complex step, seed 0, bound 1e-12): FAILED: W: " in str(results)
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
