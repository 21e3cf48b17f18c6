"""Data, a whole run, and a way to do something at a step of one."""

import pytest

from minivit.run.display import Display
from tests.tools import runs, tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data") / "digits")


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The folder of an undisturbed run."""
    return runs.start(data, tmp_path_factory.mktemp("whole") / "run").folder


@pytest.fixture
def at_step(monkeypatch):
    """Call something as soon as a number of steps is done; the next run goes on undisturbed."""

    def arrange(number, act):
        done, show = [0], Display.step

        def step(self, result):
            show(self, result)
            done[0] += 1
            if done[0] == number:
                act()

        monkeypatch.setattr(Display, "step", step)

    return arrange


@pytest.fixture
def stopped(data, tmp_path, at_step):
    """The folder of a run that was stopped after its second step."""
    runs.stop_after(at_step, data, tmp_path / "run", 2)
    return tmp_path / "run"
