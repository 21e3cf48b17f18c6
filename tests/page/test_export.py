"""The page as one file: complete, without a request, and with every number as it is."""

import base64
import dataclasses
import hashlib
import json
import re

import numpy as np
import pytest

from minivit.errors import ConfigError
from minivit.initial import initial_params
from minivit.learn import record
from minivit.learn.walk import TINY
from minivit.page import assets
from minivit.page.examples import ten_digits
from minivit.page.export import LARGEST, export
from minivit.page.models import Shown, tiny
from minivit.page.play import export_page


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(the text of a page with the tiny model and another one, that other one, how many digits of each are in it)."""
    path = tmp_path_factory.mktemp("export") / "page.html"
    config = dataclasses.replace(TINY, depth=2, dim=12, heads=3)
    model = Shown("run", "a run", initial_params(config, 3, "float64"), config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minivit.page.export.MEASURED", {"f8": 1, "f4": 1})
        counts = export(model, path)
    return path.read_text(encoding="utf-8"), model, counts


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def unpacked(packed):
    return np.frombuffer(base64.b64decode(packed["data"]), f"<{packed['dtype']}")


def test_the_tiny_model_is_complete_in_float64(exported):
    text, _, counts = exported
    data = data_of(text)
    assert counts["tiny"] == 10
    images = ten_digits().images
    for k in (0, 7):
        tape = record(tiny().params, TINY, images[k], k)
        for name, step in tape.steps.items():
            run = data["runs"]["tiny"][str(k)]["tensors"][name]
            value = data["parameters"]["tiny"][name]["value"] if step.kind == "parameter" else run["value"]
            assert unpacked(value).tobytes() == step.value.tobytes(), name
            assert unpacked(run["grad"]).tobytes() == step.grad.tobytes(), name


def test_the_other_model_is_in_float32(exported):
    text, model, counts = exported
    data = data_of(text)
    assert counts["run"] >= 2
    tape = record(model.params, model.config, ten_digits().images[1], 1)
    for name, step in tape.steps.items():
        grad = unpacked(data["runs"]["run"]["1"]["tensors"][name]["grad"])
        assert grad.dtype == np.float32 and grad.tobytes() == step.grad.astype(np.float32).tobytes()
    assert [one["dtype"] for one in data["meta"]["models"]] == ["f4", "f8"]


def test_the_policy_lets_only_its_own_scripts_run(exported):
    text, _, _ = exported
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)[1]
    assert "default-src 'none'" in policy and "connect-src 'none'" in policy and "unsafe" not in policy
    blocks = re.findall(r"<script>(.*?)</script>", text, re.S) + re.findall(r"<style>(.*?)</style>", text, re.S)
    hashes = {base64.b64encode(hashlib.sha256(block.encode()).digest()).decode() for block in blocks}
    assert hashes == set(re.findall(r"sha256-([^']+)'", policy))
    assert len(blocks) == len(assets.SCRIPT.findall(assets.text(assets.PAGE))) + 1


def test_nothing_is_asked_for(exported):
    text, _, _ = exported
    assert not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="(?!data:)', text)
    assert "CC BY-SA 3.0" in text and "MIT" in text, "the licences of the digits and of the code are inside"
    assert len(text.encode()) <= LARGEST


def test_a_class_or_source_cannot_end_the_data(tmp_path, monkeypatch):
    monkeypatch.setattr("minivit.page.export.MEASURED", {"f8": 0, "f4": 0})
    names = ("</script><script>alert(1)", *"bcdefghij")
    config = dataclasses.replace(TINY, class_names=names)
    export(Shown("run", "<!--", initial_params(config, 0, "float64"), config), tmp_path / "page.html")
    data = data_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert data["meta"]["models"][0]["config"]["class_names"][0] == names[0]


def test_the_measured_slopes_agree(exported):
    data = data_of(exported[0])
    slopes = [one for run in data["runs"]["tiny"].values() for several in run["slopes"].values() for one in several]
    assert len(slopes) > 400 and all(one["agrees"] for one in slopes)


def test_the_name_of_the_file(tmp_path):
    with pytest.raises(ConfigError, match="ends in .html"):
        export_page("tiny", str(tmp_path / "page.txt"))
    with pytest.raises(OSError):
        export_page("tiny", str(tmp_path / "nowhere" / "page.html"))
