"""Pictures of a run."""

import json
import sys

import numpy as np
import pytest

from minivit.errors import CheckpointError
from minivit.run import pictures
from minivit.run.mistakes import Mistake
from minivit.run.pictures import draw_pictures, save_confusion, save_curves, save_mistakes, shortened
from minivit.run.records import RESULT
from minivit.train import TrainConfig

LINE = {
    **{"step": 3, "epoch": 1, "loss": 0.7, "accuracy": 0.8, "learning_rate": 1e-3, "grad_norm": 2.0},
    **{"images_per_second": 18.0, "valid_loss": 0.6, "valid_accuracy": 0.9},
}


def curves(folder, *changes):
    """Save the curves of a run with a report for each of these changes of LINE; the picture, (height, width, 4)."""
    lines = [json.dumps({**LINE, "step": 3 * i, **change}) + "\n" for i, change in enumerate(changes, 1)]
    (folder / "metrics.jsonl").write_text("".join(lines))
    save_curves(folder)
    image = pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")
    with image.open(folder / "curves.png") as file:
        return np.asarray(file.convert("RGB"), int)


def shows(picture, colour):
    """Whether there is a patch of about this colour, 0xRRGGBB."""
    wanted = [colour >> 16, colour >> 8 & 255, colour & 255]
    return (abs(picture - wanted).max(-1) < 8).sum() > 50


@pytest.fixture(autouse=True)
def needs_matplotlib():
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")


def test_training_and_validation_are_drawn(tmp_path):
    picture = curves(tmp_path, {}, {"accuracy": 0.9}, {"loss": 0.3})
    assert picture.shape == (432, 1080, 3)
    assert shows(picture, 0x0072B2) and shows(picture, 0xD55E00)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["curves.png", "metrics.jsonl"]


def test_a_run_without_validation(tmp_path):
    picture = curves(tmp_path, *[{"valid_loss": None, "valid_accuracy": None}] * 3)
    assert shows(picture, 0x0072B2) and not shows(picture, 0xD55E00)


def test_reports_between_the_epochs(tmp_path):
    assert shows(curves(tmp_path, {"valid_loss": None, "valid_accuracy": None}, {}), 0xD55E00)


@pytest.mark.parametrize(
    "train, label",
    [
        ({}, "training (augmented)"),
        ({"augmentation": "none"}, "training"),
        ({"augmentation": "digits", "augment": None}, "training"),
        ({"augmentation": "none", "mixup": 0.2}, "training (augmented)"),
    ],
)
def test_what_the_curves_are_called(tmp_path, monkeypatch, train, label):
    """And there are no halves of a step."""
    drawn = []
    monkeypatch.setattr(pictures, "save_figure", lambda figure, path: drawn.append(figure))
    config = TrainConfig(**train).to_dict()
    monkeypatch.setattr(pictures, "read_settings", lambda folder: {"train": config})
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps({**LINE, "step": n}) + "\n" for n in (1, 2, 3)))
    save_curves(tmp_path)
    for axes in drawn[0].axes:
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [label, "validation"]
        assert all(tick == int(tick) for tick in axes.get_xticks())


def test_a_run_without_errors_and_a_single_report(tmp_path):
    perfect = {"accuracy": 1.0, "valid_accuracy": 1.0}
    assert shows(curves(tmp_path, perfect, perfect), 0x0072B2)
    assert shows(curves(tmp_path, perfect), 0x0072B2)
    assert shows(curves(tmp_path, {"accuracy": 1.0}), 0x0072B2)
    assert shows(curves(tmp_path, {"valid_accuracy": 1.0}, {}), 0xD55E00)


def test_many_reports(tmp_path):
    assert shows(curves(tmp_path, *[{"loss": 1 / i} for i in range(1, 200)]), 0x0072B2)


def test_damaged_reports_are_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"st')
    with pytest.raises(CheckpointError, match="metrics.jsonl: damaged"):
        save_curves(tmp_path)


def test_without_matplotlib_nothing_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # importing it fails
    assert draw_pictures(tmp_path) == "pip install minivit[viz] also draws its curves and mistakes"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [ValueError("Key backend:\n'module://x' is\nno backend"), OSError(28, "full"), KeyError()]
)
def test_whatever_goes_wrong_in_a_picture_is_a_note(error, tmp_path, monkeypatch):
    """A notebook sets MPLBACKEND to what this Python may not have, and importing matplotlib then raises ValueError."""

    def fail(*arguments):
        raise error

    monkeypatch.setattr("minivit.run.pictures.new_figure", fail)
    note = draw_pictures(tmp_path)
    assert note.startswith("its pictures cannot be drawn: ") and "\n" not in note and not note.endswith(": ")


@pytest.mark.parametrize("content", ['{"st', '{"step": 1}', "[]", '{"step": "one"}', "\0" * 99])
def test_damaged_reports_cost_only_the_picture(content, tmp_path):
    (tmp_path / "metrics.jsonl").write_text(content)
    assert "its pictures cannot be drawn: " in draw_pictures(tmp_path)


@pytest.mark.parametrize("classes, size", [(3, (432, 574)), (30, (1128, 1280))])
def test_mistakes_are_coloured(classes, size, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")
    confusion = 90 * np.eye(classes, dtype=int)
    confusion[-1, 0] = 4
    save_confusion(confusion, tmp_path / "confusion.png")
    picture = np.asarray(image.open(tmp_path / "confusion.png").convert("RGB"), int)
    assert picture.shape == (*size, 3)
    darkest = abs(picture - [0x7F, 0x27, 0x04]).max(-1) < 8  # of the colour map: the cell that was mistaken most
    cell = np.argwhere(darkest[:, : size[1] * 3 // 4])  # not the colour bar
    assert len(cell) > 50 and (np.ptp(cell, 0) < 0.9 * size[0] / classes).all(), "one cell, not the right answers"
    down, across = cell.mean(0) / size
    assert down > 0.6 and across < 0.4, "the last class is taken for the first"


def test_a_finished_run_gets_its_pictures(tmp_path):
    curves(tmp_path, {}, {})
    result = {name: 1 for name in RESULT} | {"data": "mnist", "test_correct": 9, "test_total": 10}
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert not draw_pictures(tmp_path) and not (tmp_path / "confusion.png").exists()  # of an older version: no matrix
    (tmp_path / "result.json").write_text(json.dumps(result | {"test_confusion": ["5 1", "0 4"]}))
    assert not draw_pictures(tmp_path) and (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_are_drawn_once_and_only_where_there_are_some(tmp_path):
    curves(tmp_path, {}, {})
    assert not draw_pictures(tmp_path, []) and not (tmp_path / "mistakes.png").exists()
    wrong = [Mistake("image 7", np.full((1, 8, 8), 99, np.uint8), 0, 1, 0.9)]
    assert not draw_pictures(tmp_path, wrong)
    drawn = (tmp_path / "mistakes.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    (tmp_path / "mistakes.png").write_bytes(drawn[:-1])
    assert not draw_pictures(tmp_path, wrong) and (tmp_path / "mistakes.png").read_bytes() == drawn[:-1]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 40), (3, 224, 224)])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_mistake_is_drawn(count, shape, tmp_path):
    """Each in a colour of its own, in columns of six."""
    image = pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")
    levels = [60 + 25 * i for i in range(count)]
    wrong = [Mistake(f"{i}.jpg", np.full(shape, level, np.uint8), 0, 1, 0.9) for i, level in enumerate(levels)]
    save_mistakes(wrong, tmp_path / "mistakes.png", ["cat", "dog"])
    picture = np.asarray(image.open(tmp_path / "mistakes.png").convert("RGB"), int)
    assert picture.shape[1] == 252 * min(6, max(2, count))
    assert all((picture == level).all(-1).sum() > 10_000 for level in levels)


@pytest.mark.parametrize(
    "names", [["cat", "dog", "猫 🐱"], ["a$b$c_d^", "x\udcffy", "of\nmine"], ["l" * 300, "", "\t"]]
)
def test_any_name_of_a_class_can_be_drawn(names, tmp_path):
    """Folders have them: letters that the font lacks, dollars that would be formulas, bytes that are no text."""
    save_confusion(np.array([[5, 1, 0], [2, 7, 3], [0, 0, 4]]), tmp_path / "confusion.png", names)
    wrong = [Mistake("$x\udcff$.jpg", np.zeros((3, 8, 8), np.uint8), 0, k, 0.9) for k in (1, 2)]
    save_mistakes(wrong, tmp_path / "mistakes.png", names)


def test_long_names_keep_both_ends():
    assert shortened("tabby", 9) == "tabby" and shortened("a  b\nc", 9) == "a b c"
    assert shortened("mountain bike", 9) == "moun…bike" and len(shortened("l" * 300, 24)) == 24
