"""`minivit walk` prints the tape: every tensor once each way, its numbers, and the lines that make them."""

import re

import numpy as np
import pytest

from minivit import ViT, ViTConfig
from minivit.cli import main
from minivit.learn.tape import norm
from minivit.learn.walk import record_digit, walk
from minivit.run import load_run

INDEX = 7


@pytest.fixture(scope="module")
def tape():
    return record_digit(INDEX)


@pytest.fixture(scope="module")
def text():
    return walk(INDEX)


def tables(text):
    """The names in the tables of the forward and of the backward pass."""
    forward, backward = text.split("GRADIENT WITH RESPECT TO")
    return re.findall(r"^([\w.]+) +\(", forward, re.M), re.findall(r"^([\w.]+) +[\d.e-]+ +-?[\d.e-]+ ", backward, re.M)


def test_the_text_has_every_tensor_once_each_way(tape, text):
    forward, backward = tables(text)
    assert forward == list(tape.steps)
    assert backward == [name for name in reversed(forward) if name != "loss"]
    assert max(map(len, text.splitlines())) <= 120


def test_the_text_says_the_numbers(tape, text):
    assert text.startswith(f"Test digit {INDEX}, a {tape.label}, through a tiny untrained model of 1250 parameters")
    row = re.search(r"^logits +(\S+) +(\S+) +(\S+) +(\S+)", text.split("GRADIENT")[1], re.M)
    slope, measured = tape.slope("logits")
    shown = [norm(tape.steps["logits"].grad), slope, measured, tape.steps["logits"].grad[0]]
    assert [float(number) for number in row.groups()] == pytest.approx(shown, rel=1e-3)
    assert "= normed1 @ attn.qkv.weight + attn.qkv.bias" in text
    assert "= dh + rstd·(dxhat - mean(dxhat) - xhat·mean(dxhat·xhat))" in text
    step = tape.steps["blocks.0.attn.scores"]
    assert f"  minivit/ops/attention.py:{step.line} " in text and f"  minivit/ops/softmax.py:{step.grad_line} " in text
    assert float(re.search(r"by (\S+) of it\.$", text)[1]) < 1e-6


def test_a_block_of_a_model():
    model = ViT(ViTConfig(dim=8, depth=2, heads=2, mlp_dim=12), seed=3)
    text = walk(INDEX, model, block=1)
    forward, backward = tables(text)
    assert forward and all(name.startswith("blocks.1.") for name in forward) and backward == forward[::-1]
    assert f"through a model of {model.params.flat.size} parameters" in text and "2 blocks, 2 heads. Block 1:" in text
    with pytest.raises(ValueError, match="^there is no block 2: the model's blocks are numbered 0 to 1$"):
        walk(INDEX, model, block=2)


def test_a_model_of_other_images():
    with pytest.raises(ValueError, match="do not fit this model"):
        walk(0, ViT(ViTConfig(image_size=14, dim=8, depth=1, heads=2, mlp_dim=12)))


@pytest.mark.parametrize("index", [-1, 1000])
def test_a_digit_that_there_is_not(index):
    with pytest.raises(ValueError, match=f"^there is no digit {index}: the bundled test digits are numbered 0 to 999$"):
        walk(index)


def test_the_tape_of_a_float32_model_is_in_float64():
    model = ViT(ViTConfig(dim=8, depth=1, heads=2, mlp_dim=12), seed=3)
    tape = record_digit(INDEX, model)
    assert model.dtype == np.float32 and tape.params.flat.dtype == np.float64
    assert np.allclose(tape.logits, model.forward(tape.steps["image"].value[None])[0][0], rtol=1e-4, atol=1e-5)


def test_the_command_walks_through_a_model(capsys):
    assert main(["walk", "--model", "pretrained", "--block", "3", "--index", "2"]) == 0
    assert capsys.readouterr().out == walk(2, load_run("pretrained").model, 3) + "\n"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--block", "1"], "there is no block 1: the model's blocks are numbered 0 to 0"),
        (["--index", "5000"], "there is no digit 5000"),
        (["--model", "no/such/run"], "no/such/run: no such file or folder"),
    ],
)
def test_what_cannot_be_walked_through_is_said_in_one_line(arguments, said, capsys):
    assert main(["walk", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
