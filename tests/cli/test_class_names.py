"""Classes that have names."""

import dataclasses
import re

import numpy as np
import pytest

from minivit import ViT
from minivit.cli import main
from minivit.data.idx import write_idx
from minivit.preprocess import Preprocessing
from minivit.run.load import PRETRAINED
from tests.tools import tiny


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


def test_emnist(tmp_path, capsys):
    """Its labels begin at 1, its images are stored transposed, its files have long names; pictures are upright."""
    pillow = pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")
    for seed, (part, count) in enumerate((("train", 60), ("test", 20))):
        images, labels = tiny.images(count, seed=seed)
        write_idx(tmp_path / f"emnist-letters-{part}-images-idx3-ubyte.gz", images[:, 0].swapaxes(1, 2))
        write_idx(tmp_path / f"emnist-letters-{part}-labels-idx1-ubyte.gz", (labels + 1).astype("uint8"))
    run, flags = str(tmp_path / "run"), tiny.flags(epochs=60, batch_size=18, learning_rate=0.01, augment=0)
    assert main(["train", "--data", str(tmp_path), "--out", run, *flags]) == 0
    assert re.search(r"^class_names +\['1', '2', '3'\]$", run_info(run, capsys), re.M)
    assert main(["eval", run]) == 0
    out = capsys.readouterr().out
    correct = int(re.search(r"\((\d+) of 20\)", out)[1])
    assert correct > 15 and re.search(r"^ +3 +6 ", out, re.M)
    names = []
    for i, (image, label) in enumerate(zip(images[:, 0], labels)):
        names.append(str(tmp_path / f"{i}-{label + 1}.png"))
        pillow.fromarray(image).save(names[-1])
    assert main(["predict", run, *names]) == 0
    predicted = re.findall(r"-(\d)\.png: (\d) ", capsys.readouterr().out)
    assert len(predicted) == 20 and sum(label == guess for label, guess in predicted) == correct


def run_info(run, capsys):
    capsys.readouterr()
    assert main(["info", run]) == 0
    return capsys.readouterr().out


def test_a_model_of_before_names_has_a_class_too_many(tmp_path, capsys):
    """Classes used to be counted from 0 to the largest label; such a model still knows which is which."""
    data = tiny.write_data(tmp_path / "data")
    images, labels = tiny.images(20, seed=1)
    write_idx(tmp_path / "data" / "t10k-labels-idx1-ubyte", (labels + 1).astype("uint8"))
    config = tiny.config(classes=4)
    model = ViT(config, preprocessing=Preprocessing("squash", "dark", (8, 8)))
    model.save(tmp_path / "model.safetensors")
    expected = np.mean(model.predict(images).argmax(1) == labels + 1)
    assert main(["eval", str(tmp_path), "--data", data]) == 0
    assert f"accuracy {100 * expected:.2f} %" in capsys.readouterr().out


def test_five_named_classes_are_shown(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")
    names = ("ant", "bee", "cat", "dog", "eel", "fly", "gnu")
    ViT(tiny.config(classes=7, class_names=names)).save(tmp_path / "model.safetensors")
    drawing = np.full((30, 30), 255, "uint8")
    drawing[5:25, 14:17] = 0
    image.fromarray(drawing).save(tmp_path / "digit.png")
    assert main(["predict", str(tmp_path / "model.safetensors"), str(tmp_path / "digit.png")]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert len([name for name in names if f"{name} (" in line]) == 5 and line.count("%") == 5
