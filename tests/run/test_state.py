"""The state of a run: every damage is named, and nothing of it is lost."""

import functools
import random
import shutil

import numpy as np
import pytest

from minivit.checkpoint import read_tensors, write_tensors
from minivit.errors import CheckpointError
from minivit.run import resume_run
from tests.tools import tiny
from tests.tools.runs import same_model


def damage(folder):
    """What may have happened to a state: (name, function of its bytes, what the message says)."""
    other = tiny.config(dim=12, heads=3)

    def rewritten(change):
        def rewrite(content):
            path = folder / "state.safetensors"
            arrays, values = read_tensors(path)
            change(arrays, values)
            write_tensors(path, arrays, values)
            return path.read_bytes()

        return rewrite

    yield "empty", lambda content: b"", "not a whole safetensors file"
    yield "truncated", lambda content: content[:-1], "not a whole safetensors file"
    yield "half", lambda content: content[: len(content) // 2], "not a whole safetensors file"
    yield "longer", lambda content: content + b"\0", "not a whole safetensors file"
    yield "zeros", lambda content: bytes(len(content)), "safetensors file"
    yield "text", lambda content: b"not a state", "not a whole safetensors file"
    yield "a name less", rewritten(lambda arrays, values: arrays.pop("m")), "m is missing or does not fit"
    yield "another shape", rewritten(lambda arrays, values: arrays.update(v=np.zeros(3, "f"))), "v is missing or does"
    yield "another dtype", rewritten(lambda arrays, values: arrays.update(m=arrays["m"].astype("d"))), "m is missing"
    yield (
        "other settings",
        rewritten(lambda arrays, values: values["settings"]["train"].update(seed=7)),
        "other settings",
    )
    yield "another model", rewritten(lambda a, v: v["settings"]["model"].update(other.to_dict())), "other settings"
    for name, value, message in (
        ("step", -1, "step must be at least 0"),
        ("step", 10, "step 10 of 9"),
        ("step", 1.5, "step must be a whole number"),
        ("seconds", -1.0, "seconds must be at least 0"),
        ("seconds", "long", "seconds must be a number"),
        ("sums", {"loss": 1.0, "correct": 1, "images": -1}, "images must be at least 0"),
        ("sums", {"loss": 1.0, "correct": 9, "images": 2}, "more images are correct"),
        ("sums", {"loss": 1.0}, "holds no state of a run .KeyError: 'correct'"),
        ("sums", None, "holds no state of a run"),
        ("metrics", [{"step": 1}], "a report has step, epoch"),
        ("metrics", {}, "the reports are no list"),
        ("settings", [], "holds no settings of a run, or other settings"),
        ("settings", {"model": {}, "train": {"epochs": "3"}}, "holds no settings of a run, or other settings"),
    ):
        change = functools.partial(lambda arrays, values, new: values.update(new), new={name: value})
        yield f"{name} {value}", rewritten(change), message
    yield "no settings", rewritten(lambda arrays, values: values.clear()), "other settings"


def test_a_state_that_is_damaged_is_refused(stopped, whole):
    path = stopped / "state.safetensors"
    good = path.read_bytes()
    for name, function, message in damage(stopped):
        path.write_bytes(good)
        path.write_bytes(function(good))
        bad = path.read_bytes()
        with pytest.raises(CheckpointError, match=message) as caught:
            resume_run(str(stopped))
        assert "\n" not in str(caught.value) and "state.safetensors" in str(caught.value), name
        assert path.read_bytes() == bad, name
    path.write_bytes(good)
    resume_run(str(stopped))
    assert same_model(stopped, whole)


def test_a_flipped_bit_is_noticed_wherever_it_is(stopped):
    path = stopped / "state.safetensors"
    good = path.read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    draw = random.Random(0)
    places = [*range(0, header, 5), *(draw.randrange(header, len(good)) for _ in range(50)), len(good) - 1]
    flips = [(place, 1 << draw.randrange(8)) for place in places]
    flips += [(place, 32) for place in range(header) if good[place : place + 2] == b"e-"]  # 1e-05 becomes 1E-05
    assert len(flips) > len(places)
    for place, bit in flips:
        bad = bytearray(good)
        bad[place] ^= bit
        path.write_bytes(bad)
        with pytest.raises(CheckpointError) as caught:
            read_tensors(path)
        assert "\n" not in str(caught.value), place


def test_a_model_is_no_state(stopped, whole):
    shutil.copy(whole / "model.safetensors", stopped / "state.safetensors")
    with pytest.raises(CheckpointError, match="other settings"):
        resume_run(str(stopped))
