"""Every script of the guided tour runs, asserts what it claims, and draws a figure that a README can show."""

import runpy
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from minivit import ViT, ViTConfig

FOLDER = Path(__file__).parents[1] / "examples"
TOUR = sorted(FOLDER.glob("[0-9]*.py"))
SCRIPTS = [*TOUR, FOLDER / "augmentation.py"]


@pytest.fixture(scope="module", autouse=True)
def tour():
    """What the scripts share is imported once, so that a model is trained once, and forgotten afterwards."""
    sys.path.insert(0, str(FOLDER))
    with matplotlib.rc_context():
        yield
    sys.path.remove(str(FOLDER))
    sys.modules.pop("common", None)


def check_figure(path):
    with Image.open(path) as figure:
        assert figure.format == "PNG" and figure.width == 1350 and 300 < figure.height < 1350
        assert len(np.unique(np.asarray(figure))) > 8
    assert path.stat().st_size < 80_000


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path)])
    runpy.run_path(str(script))
    figure = tmp_path / f"{script.stem}.png"
    check_figure(figure)
    printed = capsys.readouterr().out
    assert printed.endswith(f"drawn: {figure}\n") and len(printed.splitlines()) >= 3


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_committed_figure(script):
    check_figure(FOLDER / "figures" / f"{script.stem}.png")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_is_short_and_says_its_idea(script):
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    idea = text.split('"""')[1].splitlines()[0]
    assert len(idea) > 40 and (FOLDER / "common.py").exists()


def test_scripts_are_numbered_without_a_gap():
    assert [int(script.name[:2]) for script in TOUR] == list(range(1, 15))
    assert {path.stem for path in (FOLDER / "figures").glob("*.png")} == {script.stem for script in SCRIPTS}


def test_the_attention_of_a_loaded_model(tmp_path, monkeypatch, capsys):
    """On a photograph; the model here is one of minivit's, of colour pictures."""
    config = ViTConfig(image_size=32, patch_size=8, channels=3, dim=12, depth=2, heads=3, mlp_dim=8, registers=2)
    ViT(config).save(tmp_path / "model.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    script = FOLDER / "attention_of_a_real_vit.py"
    files = [str(tmp_path / name) for name in ("model.safetensors", "photo.png", "attention.png")]
    monkeypatch.setattr(sys, "argv", [str(script), *files])
    runpy.run_path(str(script))
    assert "2 blocks of 3 heads, 19 tokens, patches (4, 4)" in capsys.readouterr().out
    with Image.open(tmp_path / "attention.png") as figure:
        assert len(np.unique(np.asarray(figure))) > 8
