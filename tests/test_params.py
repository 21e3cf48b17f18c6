"""Params: names and shapes over one vector, which every view goes on sharing."""

import copy
import math
import pickle

import numpy as np
import pytest

from minivit import Params, ViT, ViTConfig

SHAPES = {"a.weight": (3, 4), "a.bias": (4,), "token": (1, 1, 2)}


def counted(dtype="float64"):
    return Params(SHAPES, np.arange(18, dtype=dtype))


def assert_views_share_the_vector(params):
    """Every number of the vector belongs to one view, in order, and is seen through it."""
    params.flat[...] = np.arange(params.flat.size)
    seen = np.concatenate([view.ravel() for view in params.values()])
    np.testing.assert_array_equal(seen, params.flat)
    for name, view in params.items():
        assert np.shares_memory(view, params.flat), name
        view[...] = -1
    assert (params.flat == -1).all()


def test_names_and_shapes_in_order():
    params = counted()
    assert list(params) == list(SHAPES) and len(params) == 3 and "a.bias" in params and "b" not in params
    assert {name: view.shape for name, view in params.items()} == SHAPES
    np.testing.assert_array_equal(params["a.bias"], [12, 13, 14, 15])
    assert params.get("a.bias") is params["a.bias"] and params.get("b") is None and params.get("b", 7) == 7
    assert repr(params) == "Params(3 tensors, 18 values, float64)"
    with pytest.raises(KeyError, match="b"):
        params["b"]


def test_the_vector_is_used_not_copied():
    flat = np.zeros(18)
    assert Params(SHAPES, flat).flat is flat


@pytest.mark.parametrize(
    "derive",
    [
        lambda params: params,
        Params.copy,
        Params.empty_like,
        lambda params: params.astype("float32"),
        lambda params: params.astype("float64"),
        lambda params: params.to("cpu"),
        lambda params: Params.zeros(SHAPES),
        copy.copy,
        copy.deepcopy,
        lambda params: pickle.loads(pickle.dumps(params)),
    ],
    ids=["itself", "copy", "empty_like", "float32", "float64", "to cpu", "zeros", "copy.copy", "deepcopy", "pickle"],
)
def test_views_share_the_vector_whatever_was_done(derive):
    params = counted()
    derived = derive(params)
    assert derived.shapes == SHAPES
    assert_views_share_the_vector(derived)
    if derived is not params:
        np.testing.assert_array_equal(params.flat, np.arange(18))


def test_views_share_the_vector_after_save_and_load(tmp_path):
    config = ViTConfig(image_size=4, patch_size=2, dim=4, depth=1, heads=2, mlp_dim=3)
    model = ViT(config)
    assert_views_share_the_vector(model.params.copy())
    model.save(tmp_path / "model.safetensors")
    loaded = ViT.load(tmp_path / "model.safetensors").params
    np.testing.assert_array_equal(loaded.flat, model.params.flat)
    assert_views_share_the_vector(loaded)


def test_copies_and_casts_hold_the_same_numbers():
    params = counted()
    for derived in (params.copy(), params.astype("float32"), params.astype("float64")):
        assert not np.shares_memory(derived.flat, params.flat)
        np.testing.assert_array_equal(derived.flat, params.flat)
    assert params.astype("float32").flat.dtype == np.float32
    assert params.to("cpu") is params
    assert not Params.zeros(SHAPES).flat.any() and Params.zeros(SHAPES).flat.dtype == np.float32


def test_assignment_copies_into_the_view():
    params = counted()
    view, value = params["a.weight"], np.full((3, 4), 0.5)
    params["a.weight"] = value
    assert params["a.weight"] is view and (params.flat[:12] == 0.5).all() and params.flat[12] == 12
    value[...] = 9
    assert (view == 0.5).all()
    params["a.bias"] = np.ones(4, "float32")
    assert params["a.bias"].dtype == np.float64


@pytest.mark.parametrize("value", [np.ones((4, 3)), np.ones(4), np.ones((1, 3, 4)), np.ones(()), 0.0])
def test_assignment_of_another_shape_is_refused(value):
    """Broadcasting would hide a gradient that was summed over the wrong axis."""
    params = counted()
    with pytest.raises(ValueError, match=r"a.weight has shape \(3, 4\), and cannot take a value of shape \("):
        params["a.weight"] = value
    with pytest.raises(KeyError):
        params["unknown"] = value
    np.testing.assert_array_equal(params.flat, np.arange(18))


def test_a_vector_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"a contiguous vector of shape \(18,\), not \(17,\)$"):
        Params(SHAPES, np.zeros(17))
    with pytest.raises(ValueError, match=r"not \(18,\), with gaps"):
        Params(SHAPES, np.zeros(36)[::2])
    with pytest.raises(ValueError, match=r"not \(18, 1\)"):
        Params(SHAPES, np.zeros((18, 1)))


def test_the_shapes_belong_to_the_params():
    shapes = dict(SHAPES)
    params = Params(shapes, np.zeros(sum(map(math.prod, SHAPES.values()))))
    shapes["more"] = (2,)
    assert params.shapes == SHAPES


def test_the_same_vector_under_names_in_another_order_is_not_equal():
    flat = np.arange(4, dtype="float32")
    assert Params({"a": (2,), "b": (2,)}, flat) != Params({"b": (2,), "a": (2,)}, flat)


def test_more_parameters_than_any_memory():
    with pytest.raises(MemoryError, match=f"{10**24} parameters"):
        Params.zeros({"a": (10**12, 10**12)})
