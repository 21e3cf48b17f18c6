"""Muon against its formula by singular values, and what it does with a model's matrices."""

import numpy as np
import pytest

from minivit import ViT, ViTConfig, muon
from minivit.layers import block_matrices
from minivit.shapes import parameter_shapes
from minivit.train import TrainConfig, Trainer
from tests import textbook

CONFIG = ViTConfig(image_size=6, patch_size=3, dim=8, depth=2, heads=2, mlp_dim=12, classes=5)


def test_a_step_is_the_textbooks():
    textbook.check_muon(muon)


def test_singular_values_end_in_a_band_around_1():
    """That of the docstring: values from 0.002 to 1 of a matrix whose Frobenius norm is about 1, in both shapes."""
    rng = np.random.default_rng(0)
    for rows, columns in ((7, 11), (11, 7)):
        U, _, Vt = np.linalg.svd(rng.normal(size=(40, rows, columns)), full_matrices=False)
        s = 10 ** rng.uniform(-2.6, 0, (40, 7))
        s[:, 0] = 1
        s *= 1 / np.sqrt((s * s).sum(1, keepdims=True))
        s = np.maximum(s, 0.0021)
        after = np.linalg.svd(muon.orthogonalised((U * s[:, None]) @ Vt), compute_uv=False)
        assert after.shape == (40, 7)
        assert 0.68 <= after.min() < after.max() <= 1.21


def test_a_zero_matrix_stays_zero_and_float32_stays_float32():
    M = np.zeros((2, 3, 4), np.float32)
    assert not muon.orthogonalised(M).any()
    assert muon.orthogonalised(M + 1).dtype == np.float32


def test_the_scale_of_a_matrix_does_not_matter():
    M = np.random.default_rng(3).normal(size=(2, 5, 4))
    np.testing.assert_allclose(muon.orthogonalised(1e-20 * M), muon.orthogonalised(M), rtol=1e-9)


def test_the_matrices_of_the_blocks_are_found_queries_keys_and_values_apart():
    shapes = parameter_shapes(CONFIG)
    vector = np.arange(sum(np.prod(shape, dtype=int) for shape in shapes.values()))
    params = ViT(CONFIG).params
    found = block_matrices(shapes, dict.fromkeys(shapes, 1.0))
    names = [name for name in shapes if name.startswith("blocks.") and len(shapes[name]) == 2]
    assert [some.place.stop - some.place.start for some in found] == [params[name].size for name in names]
    for name, some in zip(names, found):
        value = params[name]
        parts = np.split(value, 3, axis=1) if "qkv" in name else [value]
        np.testing.assert_array_equal(some.of(params.flat), np.stack(parts))
    covered = np.concatenate([vector[some.place] for some in found])
    assert len(covered) == len(np.unique(covered))


@pytest.mark.parametrize("more", [{}, {"layer_decay": 0.5}, {"freeze": 1}])
def test_a_trainer_gives_the_blocks_matrices_to_muon_and_the_rest_to_adamw(more):
    rng = np.random.default_rng(5)
    images, labels = rng.integers(0, 256, (6, 1, 6, 6), dtype=np.uint8), np.arange(6) % 5
    settings = {"clip_norm": None, "weight_decay": 0.3, "muon_decay": 0.2, **more}
    plain = Trainer(ViT(CONFIG, 1, dtype="float64"), TrainConfig(**settings), 9)
    both = Trainer(ViT(CONFIG, 1, dtype="float64"), TrainConfig(**settings, muon=4e-4), 9)
    before = both.model.params.copy()
    plain.step(images, labels), both.step(images, labels)
    for name, value in both.model.params.items():
        if name.startswith("blocks.") and value.ndim == 2:
            if (value == before[name]).all():
                assert more == {"freeze": 1} and name.startswith("blocks.0.")
                continue
            rate = 4e-4 / round(0.1 * 9) * (0.5 ** (2 - int(name.split(".")[1])) if "layer_decay" in more else 1)
            move = (before[name] * (1 - rate * 0.2) - value) / rate
            assert 0.5 < np.sqrt((move * move).mean()) < 1.3, name  # an entry moves by about the rate
        else:
            np.testing.assert_array_equal(value, plain.model.params[name], err_msg=name)


def test_the_bytes_do_not_depend_on_threads():
    rng = np.random.default_rng(6)
    images, labels = rng.integers(0, 256, (7, 1, 6, 6), dtype=np.uint8), np.arange(7) % 5
    results = set()
    for threads in (1, 2, 3):
        trainer = Trainer(ViT(CONFIG, 1), TrainConfig(muon=1e-3, threads=threads), 9)
        with trainer.pool:
            for _ in range(3):
                trainer.step(images, labels)
        results.add(trainer.model.params.flat.tobytes())
    assert len(results) == 1
