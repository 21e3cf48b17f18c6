"""The example tells the story it promises: two wrong gradients are found where they are wrong, the third is right."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_checker_finds_the_two_mistakes_of_the_example():
    script = ROOT / "examples" / "gradcheck_your_own_layer.py"
    command = [sys.executable, "-W", "error", "-c", f"import runpy; runpy.run_path({str(script)!r})"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    first, second, third = text.split(" try\n")[1:4]
    assert "FAILED: gain: its gradient has shape (2, 5, 12), the tensor itself (12,)" in first
    assert (
        second.count("FAILED") == 1 and "FAILED: x: " in second and "look for a missing, extra or wrong term" in second
    )
    right, others = third.split("What a test reports for the second try:\n")
    assert "FAILED" not in right and right.count(": passed, ") == 2
    in_a_test, ways = others.split("The same layer, written in other ways:\n")
    assert in_a_test.count("FAILED") == 1
    assert len(ways.splitlines()) == 6 and all("): passed, worst relative error" in line for line in ways.splitlines())
