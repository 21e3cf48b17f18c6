"""How a person, a terminal or a batch system stops a training."""

import signal
import threading

import pytest

from minivit.run.signals import SIGNALS, on_signals, stop_on_signals

SAVING = [getattr(signal, name) for name in ("SIGHUP", "SIGXCPU", "SIGUSR1") if hasattr(signal, name)]


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
            assert stop.is_set() and stop.number == number
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


@pytest.mark.parametrize("number", SAVING)
def test_those_that_a_terminal_or_a_batch_system_sends_ask_as_often_as_they_like(number):
    with stop_on_signals() as stop:
        for _ in range(3):
            signal.raise_signal(number)
        assert stop.is_set() and stop.number == number


@pytest.mark.skipif(not SAVING, reason="Windows has none of these signals")
def test_what_is_ignored_stays_ignored():
    """nohup ignores SIGHUP. SIGINT is ignored in what a shell script starts in the background, and kill -INT stops it
    nevertheless."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert not stop.is_set()
        signal.raise_signal(signal.SIGINT)
        assert stop.number == signal.SIGINT
    assert signal.getsignal(signal.SIGHUP) == signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_handlers_that_are_not_pythons_are_left_alone(monkeypatch):
    """They could not be put back from Python; a program that embeds it may have some."""
    changed, known = [], signal.getsignal
    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGINT else known(number))
    change = signal.signal
    monkeypatch.setattr(signal, "signal", lambda *arguments: changed.append(arguments[0]) or change(*arguments))
    with stop_on_signals():
        pass
    assert signal.SIGINT not in changed and signal.SIGTERM in changed
