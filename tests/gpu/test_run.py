"""A run on a card, from its start to predictions, interrupted and resumed: `pytest -m gpu`."""

import numpy as np
import pytest

from minivit.run import Interrupted, load_run, resume_run, start_run
from minivit.train import TrainConfig

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]
MODEL = {"patch_size": 14, "dim": 8, "depth": 1, "heads": 2, "mlp_dim": 8, "dropout": 0.1}
CONFIG = TrainConfig(epochs=2, batch_size=300, ema=0.9, threads=1)


def test_a_run_is_numpys_and_its_model_predicts_alike(tmp_path):
    runs = {
        device: start_run("mnist5k", str(tmp_path / device), MODEL, CONFIG, device, say=print)
        for device in ("cpu", "gpu")
    }
    assert runs["gpu"].model.device == "gpu"
    assert runs["gpu"].result["test_loss"] == pytest.approx(runs["cpu"].result["test_loss"], rel=1e-3)
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 28, 28), dtype=np.uint8)
    there, here = (load_run(tmp_path / "gpu", device).model.predict(images) for device in ("gpu", "cpu"))
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-6)


def test_an_interrupted_run_ends_in_the_bytes_of_a_whole_one(tmp_path):
    def stop(line):
        if line.startswith("epoch 1"):
            raise BrokenPipeError

    whole = start_run("mnist5k", str(tmp_path / "whole"), MODEL, CONFIG, "gpu", say=print)
    with pytest.raises(Interrupted):
        start_run("mnist5k", str(tmp_path / "run"), MODEL, CONFIG, "gpu", say=stop)
    resumed = resume_run(tmp_path / "run")
    assert resumed.model.device == "gpu"
    assert resumed.model.params.flat.get().tobytes() == whole.model.params.flat.get().tobytes()
