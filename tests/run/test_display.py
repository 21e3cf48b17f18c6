"""What a person sees while a model trains."""

import io
import os
import re
import struct
import sys

import numpy as np
import pytest
from tqdm import tqdm

from minivit.run.display import Display
from minivit.train import Metrics
from minivit.train.trainer import StepResult, TrainConfig, Trainer
from minivit.vit import ViT
from tests.tools import tiny


class Terminal(io.StringIO):
    def isatty(self):
        return True


def display(images=54, epochs=3, batch_size=18, **more):
    """That of a run of `epochs` epochs."""
    config = TrainConfig(batch_size=batch_size, threads=1, keep_memory=False)
    steps = epochs * (images // min(batch_size, images))
    return Display(Trainer(ViT(tiny.config()), config, steps), epochs, steps // epochs, images, **more)


def report(step, epoch, **valid):
    return Metrics(step, epoch, 0.5, 0.875, 1e-3, 2.0, 18.0, **valid)


def result(loss):
    return StepResult(np.float32(loss), 1, 1.0)


# Without a terminal


def test_a_plain_line_for_every_epoch(capsys):
    said = []
    with display(say=said.append, bar=True) as shown:
        for step in range(1, 10):
            shown.step(result(1.0))
            shown.report(report(step, -(-step // 3)))
    line = "epoch {}/3: loss 0.5000 accuracy 87.50 %, 18 images/s, {} s left"
    assert said == [line.format(1, 6), line.format(2, 3), line.format(3, 0)]
    assert capsys.readouterr() == ("", "")


def test_a_plain_line_with_validation():
    said = []
    with display(say=said.append) as shown:
        shown.report(report(3, 1, valid_loss=0.25, valid_accuracy=0.9))
    line = "epoch 1/3: loss 0.5000 accuracy 87.50 %, valid loss 0.2500 accuracy 90.00 %, 18 images/s, 6 s left"
    assert said == [line]


def test_whoever_asks_for_nothing_sees_nothing(terminal, capsys):
    with display() as shown:
        for step in range(1, 10):
            shown.step(result(1.0))
            shown.report(report(step, -(-step // 3)))
    assert (terminal.getvalue(), capsys.readouterr()) == ("", ("", ""))


def test_without_stderr_there_is_no_bar(monkeypatch):
    said = []
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", None)
    with display(say=said.append, bar=True) as shown:
        shown.report(report(3, 1))
    assert len(said) == 1


# In a terminal


@pytest.fixture
def terminal(monkeypatch):
    """What is drawn on stderr, were it a terminal 140 letters wide."""
    screen = Terminal()

    def draw(dynamic_ncols, **settings):
        return tqdm(file=screen, ncols=140, **settings)

    monkeypatch.setattr("minivit.run.display.tqdm", draw)
    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # no thread that outlives the test
    return screen


def test_a_bar_with_loss_accuracy_speed_and_time_left(terminal, capsys):
    with display(bar=True) as shown:
        shown.bar.mininterval = 0
        shown.report(report(3, 1))
        shown.step(result(0.75))
        shown.step(result(0.7))
        shown.report(report(6, 2, valid_loss=0.25, valid_accuracy=0.9))
        shown.step(result(0.65))
        shown.step(result(0.6))
    drawn = re.split(r"[\r\n]+", terminal.getvalue())
    assert capsys.readouterr().out == ""
    assert any("epoch 1/3" in line and "loss 0.750, training 87.5 %" in line for line in drawn)
    last = next(line for line in reversed(drawn) if line.strip())
    assert "epoch 2/3" in last and "loss 0.600, validation 90.0 %" in last
    assert "72.0/162" in last and "images/s" in last and re.search(r"\d\d:\d\d<", last)


def test_a_resumed_bar_starts_where_the_run_is(terminal):
    config = TrainConfig(batch_size=18, threads=1, keep_memory=False)
    trainer = Trainer(ViT(tiny.config()), config, 9)
    trainer.state.step = 4
    with Display(trainer, 3, 3, 54, bar=True) as shown:
        assert (shown.bar.n, shown.bar.total) == (72, 162)


def test_the_loss_is_read_only_when_it_is_drawn(terminal):
    class Watched:
        def __float__(self):
            raise AssertionError("a GPU would have to wait")

    with display(bar=True) as shown:
        shown.bar.mininterval = 1e9
        for _ in range(9):
            shown.step(StepResult(Watched(), 1, 1.0))
        assert shown.bar.n == 162


@pytest.mark.parametrize("seen, lines", [(True, 0), (False, 1)])
def test_a_line_and_a_bar_are_not_shown_on_one_terminal(seen, lines, terminal, monkeypatch):
    """With `| tee log` or `> log`, the bar is on the terminal and the lines are in the log."""
    said = []
    monkeypatch.setattr(sys, "stdout", Terminal() if seen else io.StringIO())
    with display(say=said.append, bar=True) as shown:
        shown.report(report(3, 1))
        shown.report(report(4, 2))
    assert len(said) == lines and "0.00/162" in terminal.getvalue()


def test_a_terminal_that_is_gone_does_not_end_a_training_that_has_ended(terminal):
    def fail(*arguments):
        raise OSError(5, "Input/output error")

    with display(bar=True):
        terminal.write = fail


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
def test_a_log_beside_a_terminal_has_a_line_for_every_epoch(tmp_path):
    """A real process, with its stderr on a terminal and its stdout in a file."""
    import fcntl
    import pty
    import termios

    data = tiny.write_data(tmp_path / "data")
    command = ["train", "--data", data, "--out", str(tmp_path / "run"), *tiny.flags(epochs=3, batch_size=18, threads=1)]
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("4H", 40, 140, 0, 0))  # rows and columns
    with open(tmp_path / "log", "w") as log, tiny.start(*command, stdout=log, stderr=writing) as process:
        assert process.wait(60) == 0
    os.close(writing)
    drawn = os.read(reading, 1 << 16).decode()
    os.close(reading)
    lines = (tmp_path / "log").read_text().splitlines()
    epochs = [line.split(":")[0] for line in lines if line.startswith("epoch ")]
    assert epochs == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "images/s" in drawn and "Traceback" not in drawn
