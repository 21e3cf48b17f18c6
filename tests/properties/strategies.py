"""What hypothesis draws: numbers that it can shrink, whole arrays from a seed, and small models."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minivit.config import POOLS, POSITIONS, ViTConfig
from minivit.gradcheck import Sizes
from minivit.ops.normal_cdf import FORMS

SEEDS = st.integers(0, 2**32 - 1)


def sizes(low: int = 1, high: int = 6) -> st.SearchStrategy[int]:
    return st.integers(low, high)


def rows(bound: float, dtype: str = "float64", width: int = 1) -> st.SearchStrategy[np.ndarray]:
    """Arrays of one to three axes, the last at least `width` long, entry by entry within ±bound."""
    shapes = npst.array_shapes(min_dims=0, max_dims=2, max_side=4)
    shape = st.tuples(shapes, sizes(width, 6)).map(lambda parts: (*parts[0], parts[1]))
    numbers = st.floats(-bound, bound, width=32, allow_subnormal=False)
    return npst.arrays(dtype, shape, elements=numbers)


def normal(seed: int, *shape: int, dtype: str = "float64") -> np.ndarray:
    """Standard normal numbers, the same for the same seed and shape."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


@st.composite
def configs(draw: Any) -> ViTConfig:
    """Small models over every switch, with sides, widths and dropouts of all kinds."""
    heads = draw(sizes(1, 3))
    patch = draw(sizes(1, 3))
    dropouts = st.sampled_from((0.0, 0.3))
    return ViTConfig(
        image_size=(patch * draw(sizes(1, 3)), patch * draw(sizes(1, 3))),
        patch_size=patch,
        channels=draw(sizes(1, 3)),
        classes=draw(sizes(2, 5)),
        dim=4 * heads,
        depth=draw(sizes(1, 2)),
        heads=heads,
        mlp_dim=draw(sizes(1, 7)),
        pool=draw(st.sampled_from(POOLS)),
        positions=draw(st.sampled_from(POSITIONS)),
        gelu=draw(st.sampled_from(FORMS)),
        qkv_bias=draw(st.booleans()),
        head_hidden=draw(st.sampled_from((None, 5))),
        dropout=draw(dropouts),
        attention_dropout=draw(dropouts),
        drop_path=draw(dropouts),
        patch_dropout=draw(dropouts),
    )


@st.composite
def case_sizes(draw: Any, images: int = 1) -> Sizes:
    """Sizes of any row of the checker's table, with at least so many images; here axes may be equal, and 1."""
    H, P = draw(sizes(1, 3)), draw(sizes(1, 3))
    return Sizes(
        B=draw(sizes(images, 3)),
        T=draw(sizes(1, 5)),
        D=H * draw(sizes(1, 4)),
        H=H,
        F=draw(sizes(1, 5)),
        K=draw(sizes(1, 5)),
        C=draw(sizes(1, 3)),
        P=P,
        Sh=P * draw(sizes(1, 3)),
        Sw=P * draw(sizes(1, 3)),
    )
