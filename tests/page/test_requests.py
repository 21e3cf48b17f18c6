"""What comes in is a request that makes sense or an error of one line."""

import base64

import pytest

from minivit.page.requests import (
    MOST_POINTS,
    Request,
    RequestError,
    read_entry,
    read_grey,
    read_line,
    read_names,
    read_number,
    read_request,
)

PIXELS = base64.b64encode(bytes(784)).decode()


def test_what_makes_sense():
    assert read_request({"model": "tiny", "digit": 9}) == Request("tiny", digit=9)
    assert read_request({"model": "tiny", "pixels": PIXELS, "label": 3, "steps": 2}).pixels == bytes(784)
    assert read_request({"model": "m", "strokes": [[[1, 2.5], [3, 4]], []]}).strokes == (((1.0, 2.5), (3.0, 4.0)), ())
    assert read_number({"number": 12}) == 12 and read_number({}) == 0
    assert read_names({"names": ["a"]}) == ["a"]
    assert read_entry({"name": "loss", "entry": []}) == ("loss", ())
    assert read_line({"file": "f", "line": 3}) == ("f", 3)
    assert read_grey({"grey": {"width": 2, "height": 1, "data": "AAE="}}).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"model": "tiny"},
        {"model": "tiny", "digit": 1, "strokes": []},
        {"digit": 1},
        {"model": 3, "digit": 1},
        {"model": "x" * 201, "digit": 1},
        {"model": "tiny", "digit": 10},
        {"model": "tiny", "digit": -1},
        {"model": "tiny", "digit": True},
        {"model": "tiny", "digit": 1.0},
        {"model": "tiny", "digit": "1"},
        {"model": "tiny", "digit": 1, "label": 10**30},
        {"model": "tiny", "digit": 1, "steps": 51},
        {"model": "tiny", "digit": 1, "bug": 7},
        {"model": "tiny", "pixels": "?" * 1048},
        {"model": "tiny", "pixels": None},
        {"model": "tiny", "strokes": 5},
        {"model": "tiny", "strokes": [5]},
        {"model": "tiny", "strokes": [[5]]},
        {"model": "tiny", "strokes": [[[1]]]},
        {"model": "tiny", "strokes": [[[1, float("nan")]]]},
        {"model": "tiny", "strokes": [[[1, 1e300]]]},
        {"model": "tiny", "strokes": [[["1", "2"]]]},
        {"model": "tiny", "strokes": [[[1, 1]] * (MOST_POINTS + 1)]},
    ],
    ids=str,
)
def test_what_makes_none(body):
    with pytest.raises(RequestError) as caught:
        read_request(body)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (read_names, {"names": "loss"}),
        (read_names, {"names": [1]}),
        (read_names, {"names": ["a"] * 401}),
        (read_entry, {"name": "loss", "entry": [-1]}),
        (read_entry, {"name": "loss", "entry": [0.5]}),
        (read_entry, {"name": "loss", "entry": [0] * 9}),
        (read_grey, {}),
        (read_grey, {"grey": {"width": 0, "height": 1, "data": ""}}),
        (read_grey, {"grey": {"width": 513, "height": 1, "data": ""}}),
        (read_grey, {"grey": {"width": 2, "height": 2, "data": "AAE="}}),
    ],
)
def test_parts_that_make_no_sense(read, body):
    with pytest.raises(RequestError):
        read(body)
