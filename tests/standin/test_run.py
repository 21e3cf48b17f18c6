"""A whole run, from images to a result, and what looks into its model, on the strict stand-in for CuPy."""

import json
import shutil

import numpy as np
import pytest

from minivit import insight
from minivit.data import Split
from minivit.errors import DeviceError
from minivit.run import Interrupted, load_run, resume_run, start_run
from minivit.run.state import load_state, state_bytes
from minivit.train import RunningSums, TrainConfig, Trainer, fit
from tests.tools.second_backend import DROPPING, ViT, assert_agrees, batch

pytestmark = [pytest.mark.standin, pytest.mark.usefixtures("fakecupy")]


@pytest.mark.parametrize("function", [insight.attention_maps, insight.attention_rollout, insight.pixel_gradient])
def test_insight_is_numpys(function):
    images, _ = batch()
    cpu, gpu = ViT(DROPPING, seed=3), ViT(DROPPING, seed=3, device="gpu")
    assert_agrees(function.__name__, function(gpu, images), function(cpu, images))


def test_a_run_is_numpys(tmp_path, monkeypatch):
    """With augmentation, validation, averaged weights, and saves in between; its model is read on either."""
    monkeypatch.setattr("minivit.parallel.FLOATS_FOR_THREADS", 0)
    config = TrainConfig(epochs=1, batch_size=300, ema=0.9, save_every=5, threads=2)
    model = {"patch_size": 14, "dim": 8, "depth": 1, "heads": 2, "mlp_dim": 8, "dropout": 0.1}
    runs = {device: start_run("mnist5k", str(tmp_path / device), model, config, device) for device in ("cpu", "gpu")}
    assert runs["gpu"].model.device == "gpu"
    assert runs["gpu"].result["test_loss"] == pytest.approx(runs["cpu"].result["test_loss"], rel=1e-5)
    reports = [json.loads((tmp_path / device / "metrics.jsonl").read_text()) for device in runs]
    for name in ("step", "loss", "accuracy", "grad_norm", "valid_loss", "valid_accuracy"):
        assert reports[1][name] == pytest.approx(reports[0][name], rel=1e-5), name

    probabilities = [load_run(tmp_path / "gpu", device).model.predict(np.zeros((1, 1, 28, 28))) for device in runs]
    assert_agrees("probabilities", *probabilities)


def test_a_run_stays_on_its_device(tmp_path):
    """The command that it prints resumes it there, and so does the library without being told."""
    said = []

    def stop(line):
        said.append(line)
        if line.startswith("epoch "):
            raise BrokenPipeError

    model = {"patch_size": 14, "dim": 8, "depth": 1, "heads": 2, "mlp_dim": 8}
    config = TrainConfig(epochs=2, batch_size=1800, threads=1)
    with pytest.raises(Interrupted) as caught:
        start_run("mnist5k", str(tmp_path / "run"), model, config, "gpu", say=stop)
    assert str(caught.value).endswith(f"resume it with: minivit train --resume {tmp_path / 'run'} --device gpu")
    copy = shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert resume_run(tmp_path / "run").model.device == "gpu"
    run = resume_run(copy, "cpu", say=said.append)
    assert run.model.device == "cpu" and run.settings["device"] == "cpu"
    assert "note: so far the run was on the gpu; on the cpu its numbers are rounded differently" in said


def test_a_device_that_is_gone_says_how_to_go_on(tmp_path, fakecupy, monkeypatch):
    def stop(line):
        raise BrokenPipeError

    model = {"patch_size": 14, "dim": 8, "depth": 1, "heads": 2, "mlp_dim": 8}
    config = TrainConfig(epochs=2, batch_size=1800, threads=1)
    with pytest.raises(Interrupted):
        start_run("mnist5k", str(tmp_path / "run"), model, config, "gpu", say=stop)
    monkeypatch.setattr(fakecupy.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="was on this device: .*; minivit train --resume .* --device cpu goes"):
        resume_run(tmp_path / "run")
    assert resume_run(tmp_path / "run", "cpu").result


def test_a_resumed_run_ends_in_the_same_bytes(tmp_path):
    config = TrainConfig(epochs=3, batch_size=6, ema=0.9, threads=1)
    train, valid, state = Split(*batch(20)), Split(*batch(4)), tmp_path / "state"

    def start():
        return Trainer(ViT(DROPPING, seed=3, device="gpu"), config, total_steps=9)

    whole, stopped, resumed = start(), start(), start()
    list(fit(whole, train, valid, 3, RunningSums()))
    sums = RunningSums()
    for _ in fit(stopped, train, valid, 3, sums):
        if stopped.state.step == 5:
            break
    settings = {"model": DROPPING.to_dict(), "train": config.to_dict()}
    state.write_bytes(state_bytes(settings, stopped, sums, [], 0.0))
    sums, _, _ = load_state(state, settings, resumed)
    list(fit(resumed, train, valid, 3, sums))
    assert resumed.state.step == whole.state.step == 9
    assert resumed.model.params.flat.get().tobytes() == whole.model.params.flat.get().tobytes()
    assert resumed.ema.get().tobytes() == whole.ema.get().tobytes()
