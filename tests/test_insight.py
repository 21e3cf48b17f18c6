"""Looking into a model: attention maps, rollout and the pixel gradient, for models of every shape."""

import numpy as np
import pytest

from minivit import ViT, ViTConfig
from minivit.insight import attend, attention_maps, attention_rollout, on_grid, pixel_gradient, rollout
from minivit.rng import INITIAL_WEIGHTS, generator

CONFIGS = {
    "class token": ViTConfig(dim=16, depth=3, heads=2, mlp_dim=24),
    "mean, colour, not square": ViTConfig(
        image_size=(8, 12), patch_size=4, channels=3, classes=5, dim=12, depth=2, heads=3, mlp_dim=8, pool="mean"
    ),
    "one patch": ViTConfig(image_size=6, patch_size=6, classes=3, dim=8, depth=1, heads=1, mlp_dim=8),
}


@pytest.fixture(params=CONFIGS)
def model(request):
    """A model in float64 whose weights are large enough to attend unevenly."""
    model = ViT(CONFIGS[request.param], seed=1, dtype="float64")
    model.params.flat *= 3
    return model


def pictures(model, count=2, seed=0):
    return generator(seed, INITIAL_WEIGHTS).integers(0, 256, (count, *model.config.image_shape)).astype(np.uint8)


def test_attention_maps_are_those_of_the_forward_pass(model):
    images, config = pictures(model), model.config
    attention = attention_maps(model, images)
    assert attention.shape == (config.depth, 2, config.heads, config.tokens, config.tokens)
    assert np.allclose(attention.sum(-1), 1)
    floats = (images / 255 - np.reshape(config.pixel_mean, (-1, 1, 1))) / np.reshape(config.pixel_std, (-1, 1, 1))
    _, cache = model.forward(floats, all_tokens=True)
    assert np.allclose(attention, np.stack([block.attn.dot.softmax.y for block in cache.blocks]))


def test_rollout_is_the_product_written_out(model):
    images = pictures(model)
    attention, flow = attention_maps(model, images), attention_rollout(model, images)
    L, B, H, T, _ = attention.shape
    for b in range(B):
        expected = np.array([[float(t == s) for s in range(T)] for t in range(T)])
        for block in range(L):
            step = np.zeros((T, T))
            for t in range(T):
                for s in range(T):
                    heads = sum(attention[block, b, h, t, s] for h in range(H)) / H
                    step[t, s] = 0.5 * heads + 0.5 * (t == s)  # half through attention, half along the skip
            expected = np.array([[sum(step[t] * expected[:, s]) for s in range(T)] for t in range(T)])
        assert np.allclose(flow[b], expected)


def test_rollout_rows_sum_to_one(model):
    flow = attention_rollout(model, pictures(model, 5))
    assert np.allclose(flow.sum(-1), 1) and (flow >= 0).all()


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_rollout_counts_the_skip_connections(depth):
    """Where nobody listens to himself, what a token keeps is what the identity gave it, half in each block."""
    T = 4
    to_the_left = np.eye(T, k=-1)
    to_the_left[0, 0] = 1
    flow = rollout(np.tile(to_the_left, (depth, 1, 3, 1, 1)))
    assert np.allclose(flow[0, -1, -1], 0.5**depth)
    assert np.allclose(rollout(np.tile(np.eye(T), (depth, 1, 3, 1, 1))), np.eye(T))


def test_rollout_multiplies_from_the_last_block_to_the_first():
    first = np.array([[0.0, 1, 0], [0, 1, 0], [0, 0, 1]])  # token 0 listens to token 1
    last = np.array([[1.0, 0, 0], [0, 1, 0], [1, 0, 0]])  # then token 2 to token 0
    flow = rollout(np.stack([first, last])[:, None, None])[0]
    assert np.allclose(flow[2], [0.25, 0.25, 0.5])  # through token 0, token 2 has heard of token 1
    assert np.allclose(flow[0], [0.5, 0.5, 0])  # token 0 listened before token 2 could have said anything


def test_on_grid_reads_what_the_head_reads():
    model = ViT(CONFIGS["class token"])
    weights = np.arange(17 * 17.0).reshape(17, 17)
    assert (on_grid(weights, model.config) == np.arange(1, 17.0).reshape(4, 4)).all()
    config = CONFIGS["mean, colour, not square"]
    weights = np.arange(36.0).reshape(6, 6)
    assert (on_grid(weights[None], config)[0] == weights.mean(0).reshape(2, 3)).all()


def test_pixel_gradient_is_the_slope_of_the_logit(model):
    x = generator(3, INITIAL_WEIGHTS).standard_normal((2, *model.config.image_shape))
    classes = np.array([1, 2])
    gradient = pixel_gradient(model, x, classes)
    assert gradient.shape == x.shape
    h, r = 1e-5, generator(4, INITIAL_WEIGHTS).standard_normal(x.shape)
    r /= np.linalg.norm(r)
    above, below = (model.forward(x + side * r)[0][[0, 1], classes] for side in (h, -h))
    assert np.allclose((gradient * r).sum((1, 2, 3)), (above - below) / (2 * h), rtol=1e-6)


def test_pixel_gradient_takes_the_answer_by_default(model):
    images = pictures(model)
    answers = model.predict(images).argmax(-1)
    assert np.array_equal(pixel_gradient(model, images), pixel_gradient(model, images, answers))
    assert np.array_equal(pixel_gradient(model, images, 1), pixel_gradient(model, images, [1, 1]))


@pytest.mark.parametrize("classes", [-1, [0, 3], 0.5])
def test_a_class_that_there_is_not(classes):
    model = ViT(CONFIGS["one patch"])
    with pytest.raises(ValueError, match=r"^classes must be integers in 0\.\.2, not "):
        pixel_gradient(model, pictures(model), classes)


def test_images_that_do_not_fit_are_named():
    model = ViT(CONFIGS["class token"])
    for look in (attention_maps, attention_rollout, pixel_gradient):
        with pytest.raises(ValueError, match=r"expected \(batch, 1, 28, 28\)"):
            look(model, np.zeros((2, 3, 28, 28), np.uint8))


def test_attend_prints_the_answer_and_the_shares(model):
    image = pictures(model)[0]
    lines = attend(model, image).splitlines()
    answer = model.predict(image[None])[0]
    assert lines[0].startswith(f"{answer.argmax()} ({100 * answer.max():.1f} %)")
    shares = [float(number) for line in lines[3 : 3 + model.config.grid[0]] for number in line.split()]
    assert len(shares) == model.config.patches
    own = float(lines[-1].split("share is ")[1].split(" %")[0]) if model.config.pool == "cls" else 0
    assert abs(sum(shares) + own - 100) < 0.05 * (len(shares) + 1)


def test_attend_draws(model, tmp_path):
    from PIL import Image

    out = tmp_path / "figure.png"
    assert str(out) in attend(model, pictures(model)[0], out)
    with Image.open(out) as figure:
        assert figure.width >= 700 and len(np.unique(np.asarray(figure))) > 20


@pytest.mark.standin
def test_a_model_on_the_gpu_looks_at_the_same(fakecupy):
    config = CONFIGS["mean, colour, not square"]
    cpu, gpu = (ViT(config, dtype="float64", device=device) for device in ("cpu", "gpu"))
    images = pictures(cpu)
    for look in (attention_maps, attention_rollout, pixel_gradient):
        there = look(gpu, images)
        assert isinstance(there, np.ndarray) and np.allclose(there, look(cpu, images))
