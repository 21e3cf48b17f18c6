"""`minivit convert`: a folder as another library lays it out, or an ONNX file."""

import pytest

from minivit import ViT
from minivit.cli import main
from tests.tools import tiny


@pytest.fixture
def model(tmp_path):
    ViT(tiny.config()).save(tmp_path / "model.safetensors")
    return str(tmp_path / "model.safetensors")


def test_an_onnx_file(model, tmp_path, capsys):
    pytest.importorskip("onnx", reason='writes ONNX: pip install ".[onnx]"')
    assert main(["convert", model, str(tmp_path / "model.onnx")]) == 0
    assert "model.onnx: 1,155 values, for ONNX" in capsys.readouterr().out
    assert (tmp_path / "model.onnx").stat().st_size > 4 * 1155


@pytest.mark.parametrize("out", [["model.onnx", "--to", "timm"], ["folder"]])
def test_a_folder_needs_a_layout_and_a_file_takes_none(out, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", model, *out]) == 2
    assert f"{out[0]}: a folder needs --to " in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors"]
