"""Without the package onnx the extra is named. What the files hold is tested with the reference group."""

import sys

import pytest

from minivit import ViT, ViTConfig
from minivit.errors import MissingPackageError
from minivit.weights.onnx import export_onnx


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        MissingPackageError, match=r'writing ONNX needs the package onnx, .* pip install "minivit\[onnx\]"'
    ):
        export_onnx(ViT(ViTConfig(depth=1)), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
