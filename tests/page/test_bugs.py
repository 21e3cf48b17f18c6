"""Finite differences find every planted bug of the page, and the first tensor that shows it points at its line."""

import numpy as np
import pytest

from minivit.learn import Bug, record
from minivit.learn.copies import source_of
from minivit.learn.walk import record_digit
from minivit.page.bugs import BUGS
from minivit.run import load_run

FIRST = {  # in the order of the backward pass; "*" is the last block
    "loss-true-class": "logits",
    "linear-bias": "blocks.*.attn.qkv.bias",  # the first whose gradient is a sum, where the head reads one token
    "gelu-product-rule": "blocks.*.mlp.hidden",
    "layernorm-mean": "blocks.*.out",
    "layernorm-stretch": "blocks.*.out",
    "softmax-diagonal": "blocks.*.attn.scores",
    "attention-scale": "blocks.*.attn.k",
    "attention-transpose": "blocks.*.attn.k",
    "attention-heads": "blocks.*.attn.attended",
    "residual-skip": "blocks.*.h",
    "positions-order": "pos_embed",
    "patches-transpose": "image",
}


@pytest.fixture(scope="module", params=["tiny", "pretrained"])
def clean(request):
    return record_digit(7, None if request.param == "tiny" else load_run("pretrained").model)


def with_bug(tape, bug):
    return record(tape.params, tape.config, tape.steps["image"].value, tape.label, bug)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_first_tensor_that_disagrees_points_at_the_bug(clean, bug):
    tape = with_bug(clean, bug)
    found = tape.disagreements()
    expected = FIRST[bug.name]
    if bug.name == "linear-bias" and clean.config.pool != "cls":
        expected = "blocks.*.mlp.fc2.bias"  # the head reads all tokens
    assert found[0] == expected.replace("*", str(clean.config.depth - 1))
    first = tape.steps[found[0]]
    assert first.grad_file == bug.file and abs(first.grad_line - bug.line) <= 5


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_only_the_backward_pass_is_changed_and_only_in_copies(clean, bug):
    before = source_of(bug.module)
    tape = with_bug(clean, bug)
    assert tape.loss == clean.loss and tape.bug is bug
    assert all(np.array_equal(step.value, clean.steps[name].value) for name, step in tape.steps.items())
    again = with_bug(clean, None)
    assert all(np.array_equal(step.grad, clean.steps[name].grad) for name, step in again.steps.items())
    source_of.cache_clear()
    assert source_of(bug.module) == before


def test_a_dozen_and_each_says_what_it_is():
    assert len(BUGS) == 12 and len({bug.name for bug in BUGS}) == len({bug.title for bug in BUGS}) == 12
    for bug in BUGS:
        line = source_of(bug.module).splitlines()[bug.line - 1]
        assert bug.old in line and bug.new != bug.old
        assert bug.hint.endswith((".", "?")) and bug.reason.endswith(".")


@pytest.mark.parametrize("old, new", [("dx", "dy"), ("no such text", ""), ("dx -= mean", "dx -= mean\n    dx -= mean")])
def test_a_text_that_is_not_one_line_is_refused(clean, old, new):
    with pytest.raises(ValueError, match="must occur once in ops/layernorm.py, within a line"):
        with_bug(clean, Bug("x", "x", "ops.layernorm", old, new, "", ""))
