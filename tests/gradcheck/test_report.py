"""What a report prints, and what it calls the worst."""

import json
import math

import pytest

from minivit.gradcheck import GradientError, Report, Results, Row

GOOD = Row("W", (5, 7), 1.5, 1.5, 2e-13, None, True)
BETTER = Row("b", (7,), -0.25, -0.25, 1e-15, None, True)
BAD = Row("x", (2, 5), 1.0, 2.0, 0.33, 0.5, False, "relative error 3.3e-01; worst entry x[0, 1]")
BROKEN = Row.failed("gamma", (7,), "its gradient has shape (5, 7), the tensor itself (7,)")


def report(*rows, name="linear", method="differences"):
    return Report(name, method, 1e-8, 3, rows)


def test_a_table_is_aligned_and_ends_with_the_verdict():
    assert str(report(GOOD, BETTER)).splitlines() == [
        "tensor  shape           analytic           numeric  relative error  cosine",
        "W       (5, 7)  +1.500000000e+00  +1.500000000e+00         2.0e-13",
        "b       (7,)    -2.500000000e-01  -2.500000000e-01         1.0e-15",
        "linear (central differences, seed 3, bound 1e-08): passed, worst relative error 2.0e-13 (W)",
    ]


def test_a_row_without_numbers_shows_none():
    assert str(report(BROKEN)).splitlines()[1] == "gamma   (7,)          -        -               -"


def test_every_failure_has_a_line_of_its_own():
    both = report(GOOD, BAD, BROKEN)
    start = "linear (central differences, seed 3, bound 1e-08): FAILED: "
    assert both.summary().splitlines() == [start + f"x: {BAD.problem}", start + f"gamma: {BROKEN.problem}"]
    with pytest.raises(GradientError) as error:
        both.raise_if_failed()
    assert str(error.value) == both.summary()
    assert isinstance(error.value, AssertionError)


def test_the_worst_is_a_failure_and_first_one_without_a_number():
    large = GOOD._replace(relative_error=0.5)  # within a bound of its own
    assert report(BETTER, GOOD).worst is GOOD
    assert report(BAD, large).worst is BAD
    assert report(BAD, BROKEN, large).worst is BROKEN
    assert report(GOOD, BETTER).passed and not report(GOOD, BAD).passed and not report(BROKEN).passed


def test_json_has_no_nan():
    rows = json.loads(Results((report(GOOD), report(BROKEN, method="complex"))).to_json(), parse_constant=pytest.fail)
    assert rows == [
        {"op": "linear", "tensor": "W", "method": "differences", "relative_error": 2e-13, "passed": True,
         "problem": ""},
        {"op": "linear", "tensor": "gamma", "method": "complex", "relative_error": None, "passed": False,
         "problem": BROKEN.problem},
    ]  # fmt: skip


def test_results_are_a_line_for_each_thing_checked_and_end_with_the_worst_error():
    results = Results((report(GOOD, BETTER), report(BETTER, GOOD, method="complex"), report(BETTER, name="norm"),
                       report(BETTER, name="norm", method="complex")))  # fmt: skip
    assert results.passed
    assert str(results).splitlines() == [
        "checked  tensors  worst by central differences  worst by complex step",
        "linear   2        2.0e-13 W                     2.0e-13 W",
        "norm     1        1.0e-15 b                     1.0e-15 b",
        "4 checks passed; worst relative error 2.0e-13 by central differences (linear: W), "
        "2.0e-13 by complex step (linear: W)",
    ]


def test_results_name_what_failed():
    results = Results((report(GOOD), report(BAD, name="norm")))
    lines = str(results).splitlines()
    assert not results.passed
    assert lines[2].endswith("3.3e-01 FAILED x")
    assert lines[3] == report(BAD, name="norm").summary()
    assert lines[4].startswith("FAILED: 1 of 2 checks; worst relative error 3.3e-01 by central differences (norm: x)")
    name, row = results.worst("differences")
    assert (name, row) == ("norm", BAD) and not math.isnan(row.relative_error)


def test_notes_stand_under_the_table_and_at_the_end_of_a_row():
    noted = report(GOOD._replace(note="float32: bound 1e-03"), BETTER)._replace(notes=("not checked: n is int64",))
    lines = str(noted).splitlines()
    assert lines[1].endswith("2.0e-13  float32: bound 1e-03") and lines[3] == "note: not checked: n is int64"
    assert noted.passed and noted.summary() == report(GOOD, BETTER).summary()


UNSOUGHT = BAD._replace(problem="relative error 3.3e-01; its cause was not sought", sought=False)


def test_tensors_whose_cause_was_not_sought_share_a_line():
    few = report(BAD, UNSOUGHT._replace(tensor="b"), UNSOUGHT._replace(tensor="c", relative_error=0.5), GOOD)
    start = "linear (central differences, seed 3, bound 1e-08): FAILED: "
    assert few.short_summary().splitlines() == [
        f"{start}x: {BAD.problem}",
        f"{start}b, c: relative errors of up to 5.0e-01",
    ]
    assert len(few.summary().splitlines()) == 3
    many = report(*(UNSOUGHT._replace(tensor=name) for name in "abcdef"), GOOD)
    assert many.short_summary() == f"{start}6 of 7, a to f: relative errors of up to 3.3e-01"


def test_after_three_failures_one_line_each():
    reports = [report(BAD, name=name, method=method) for name in "abcde" for method in ("differences", "complex")]
    lines = str(Results((report(GOOD), report(GOOD, method="complex"), *reports))).splitlines()[7:]
    assert [line.split(" (")[0] for line in lines[:6]] == list("aabbcc")
    assert lines[6] == "2 more fail; causes were sought for the first 3 (--op NAME asks for another):"
    assert lines[7:9] == ["d: FAILED: x", "e: FAILED: x"]
    assert lines[9].startswith("FAILED: 10 of 12 checks; worst relative error 3.3e-01 by central differences (a: x)")


def test_a_failure_without_a_number_prints_none():
    lines = str(Results((report(BROKEN),))).splitlines()
    assert lines[1] == "linear   1        - FAILED gamma"
    assert lines[-1] == "FAILED: 1 of 1 check; worst relative error - by central differences (linear: gamma)"
