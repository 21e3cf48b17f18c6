"""Classes that have names."""

import dataclasses
import re

import numpy as np
import pytest

from minivit import ViT
from minivit.cli import main
from minivit.run.load import PRETRAINED


def test_classes_have_their_names(tmp_path, capsys):
    """In predict, eval and attend."""
    pillow = pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")
    drawing = np.full((40, 40), 255, "uint8")
    drawing[5:35, 18:22] = 0
    pillow.fromarray(drawing).save(tmp_path / "one.png")
    digits = ViT.load(PRETRAINED / "model.safetensors")
    names = tuple("zero one two three four five six seven eight nine".split())
    config = dataclasses.replace(digits.config, class_names=names)
    ViT(config, params=digits.params, preprocessing=digits.preprocessing).save(tmp_path / "model.safetensors")
    assert main(["predict", str(tmp_path), str(tmp_path / "one.png")]) == 0
    assert re.search(r"one.png: one \(\d+\.\d %\), then \w+ \(", capsys.readouterr().out)
    assert main(["attend", str(tmp_path), str(tmp_path / "one.png")]) == 0
    assert capsys.readouterr().out.startswith("one (")
    assert main(["eval", str(tmp_path), "--data", "mnist5k"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^seven +100 +\d", out, re.M) and re.search(r"^ +7 seven +", out, re.M)
