"""The summary of a run agrees with the library's own functions, and the logit lens ends at the model's answer."""

import base64
import dataclasses

import numpy as np
import pytest

from minivit import ViT
from minivit.initial import initial_params
from minivit.insight import attention_maps, attention_rollout
from minivit.learn import record
from minivit.learn.walk import TINY
from minivit.model import vit_forward
from minivit.ops.softmax import softmax_forward
from minivit.page import answers
from minivit.page.examples import ten_digits

CONFIGS = {
    "class token": {},
    "mean": {"pool": "mean"},
    "patches": {"pool": "patches", "registers": 2, "class_token": True},
    "norm behind": {"norm": "pool", "pool": "cls+patches", "head_hidden": 11},
}


def unpacked(packed):
    return np.frombuffer(base64.b64decode(packed["data"]), f"<{packed['dtype']}")


@pytest.fixture(params=CONFIGS)
def tape(request):
    config = dataclasses.replace(TINY, depth=3, **CONFIGS[request.param])
    params = initial_params(config, 2, "float64")
    params.flat += 0.1 * np.random.default_rng(5).standard_normal(params.flat.shape)
    return record(params, config, ten_digits().images[4], 6)


def test_the_lens_is_the_model_of_fewer_blocks(tape):
    lens = unpacked(answers.summary(tape, ten_digits().images[4])["lens"]).reshape(3, -1)
    image = tape.steps["image"].value[None]
    for depth in (1, 2, 3):
        shorter = dataclasses.replace(tape.config, depth=depth)
        logits, _ = vit_forward(tape.params, image, shorter, keep_cache=False)
        np.testing.assert_allclose(lens[depth - 1], softmax_forward(logits)[0][0], rtol=1e-10)


def test_attention_and_rollout(tape):
    found = answers.summary(tape, ten_digits().images[4])
    model, image = ViT(tape.config, params=tape.params), ten_digits().images[4][None]
    sent = unpacked(found["attention"])  # as float32
    np.testing.assert_allclose(sent, attention_maps(model, image).ravel(), rtol=1e-7)
    flow = attention_rollout(model, image)[0]
    config = tape.config
    rows = flow[:1] if config.reads_class_token else flow[config.prefix if config.pool == "patches" else 0 :]
    np.testing.assert_allclose(unpacked(found["rollout"]), rows.mean(0), rtol=1e-10)
    assert found["prediction"] == int(tape.logits.argmax()) and found["label"] == 6


def test_a_slope(tape):
    name = "blocks.1.attn.scores"
    entry = np.unravel_index(abs(tape.steps[name].grad).argmax(), tape.steps[name].grad.shape)
    found = answers.slope(tape, name, tuple(map(int, entry)))
    assert found["agrees"] and found["digits"] >= 5
    assert found["gradient"] == tape.steps[name].grad[entry]


def test_while_drawing_little_is_sent():
    """At most 60 kB for the trained model's attention, rollout, logits, pixel gradient and norms."""
    import json

    from minivit.page.models import shown

    model = shown("pretrained")
    found = answers.summary(record(model.params, model.config, ten_digits().images[0], 0), ten_digits().images[0])
    size = len(json.dumps(found))
    print(f"a summary of the trained model holds {size:,} bytes")
    assert size < 80_000
