"""Golden numbers: they pin the function itself, its initial values and its schedule, which no gradient check does.

A commit that changes one of them says why.
"""

import json
from pathlib import Path

import pytest

from tests.tools.golden import TENSORS, golden

STORED = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found():
    return golden()


@pytest.mark.parametrize("step", range(10))
def test_the_loss_of_a_step_is_what_it_was(step, found):
    assert found["losses"][step] == pytest.approx(STORED["losses"][step], rel=1e-4)


@pytest.mark.parametrize("index, name", [*enumerate(TENSORS)])
def test_the_norm_of_a_gradient_is_what_it_was(index, name, found):
    assert found["gradient_norms"][index] == pytest.approx(STORED["gradient_norms"][index], rel=1e-4)
