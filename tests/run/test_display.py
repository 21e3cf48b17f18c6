"""What a person sees while a model trains, and how they stop it."""

import io
import re
import signal
import threading

import numpy as np
import pytest
from tqdm import tqdm

from minivit.cli import on_signals
from minivit.run.display import Display
from minivit.run.signals import stop_on_signals
from minivit.train import Metrics
from minivit.train.trainer import StepResult, TrainConfig, Trainer
from minivit.vit import ViT
from tests.tools import tiny

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def display(images=54, epochs=3, batch_size=18):
    """That of a run of `epochs` epochs."""
    config = TrainConfig(batch_size=batch_size, threads=1, keep_memory=False)
    steps = epochs * (images // min(batch_size, images))
    return Display(Trainer(ViT(tiny.config()), config, steps), epochs, steps // epochs, images)


def report(step, epoch, **valid):
    return Metrics(step, epoch, 0.5, 0.875, 1e-3, 2.0, 18.0, **valid)


def result(loss):
    return StepResult(np.float32(loss), 1, 1.0)


# Without a terminal


def test_a_plain_line_for_every_epoch(capsys):
    with display() as shown:
        for step in range(1, 10):
            shown.step(result(1.0))
            shown.report(report(step, -(-step // 3)))
    out, errors = capsys.readouterr()
    lines = "epoch {}/3: loss 0.5000 accuracy 87.50 %, 18 images/s, {} s left\n"
    assert out == lines.format(1, 6) + lines.format(2, 3) + lines.format(3, 0) and errors == ""


def test_a_plain_line_with_validation(capsys):
    with display() as shown:
        shown.report(report(3, 1, valid_loss=0.25, valid_accuracy=0.9))
    line = "epoch 1/3: loss 0.5000 accuracy 87.50 %, valid loss 0.2500 accuracy 90.00 %, 18 images/s, 6 s left\n"
    assert capsys.readouterr().out == line


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
    with display() as shown:
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
    with Display(trainer, 3, 3, 54) as shown:
        assert (shown.bar.n, shown.bar.total) == (72, 162)


def test_the_loss_is_read_only_when_it_is_drawn(terminal):
    class Watched:
        def __float__(self):
            raise AssertionError("a GPU would have to wait")

    with display() as shown:
        shown.bar.mininterval = 1e9
        for _ in range(9):
            shown.step(StepResult(Watched(), 1, 1.0))
        assert shown.bar.n == 162


# Signals


@pytest.fixture(autouse=True)
def handlers():
    """Signals do after every test what they did before it, and before it they end nothing."""
    before = [signal.signal(number, lambda *arguments: None) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_and_the_second_interrupts(number):
    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(KeyboardInterrupt):
        with stop_on_signals() as stop:
            assert not stop.is_set()
            signal.raise_signal(number)
            assert stop.is_set() and stop.signal == number
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_handlers_are_put_back():
    before = [signal.getsignal(each) for each in SIGNALS]
    with on_signals(signal.default_int_handler):
        with stop_on_signals() as stop:
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert stop.is_set() and [signal.getsignal(each) for each in SIGNALS] == before


def test_elsewhere_than_in_the_main_thread_signals_are_left_alone():
    found = []

    def work():
        with stop_on_signals() as stop:
            found.append((stop.is_set(), [signal.getsignal(each) for each in SIGNALS]))

    before = [signal.getsignal(each) for each in SIGNALS]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, before)]
