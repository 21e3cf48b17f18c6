"""What the page shows is what Python says: its formatter, and every entry that it multiplies out, in a real browser."""

import json
import math

import numpy as np
import pytest

pytestmark = pytest.mark.browser

EVALUATE = """async ([model, picks]) => {
  const source = makeSource(), meta = await source.meta();
  const it = meta.models.find((one) => one.key === model), request = { model, digit: 4, label: 9 };
  const nodes = Object.fromEntries(it.graph.map((node) => [node.name, node]));
  const all = await source.load(request, it.graph.map((node) => node.name));
  const terms = makeTerms(nodes, (name) => all[name], it.config);
  const found = [];
  for (const node of it.graph) for (const pick of picks) {
    const place = layout(node.shape), at = place.entry(Math.floor(pick * place.size)), position = place.flat(at);
    const forward = terms.forward(node.name, at), backward = terms.backward(node.name, at);
    const size = (parts) => Math.max(0, ...parts.flatMap((part) => part.terms.map((term) => Math.abs(term.product))));
    if (forward) found.push([node.name, "value", at, forward.sum, all[node.name].value[position], size([forward])]);
    const sum = backward.reduce((total, part) => total + part.sum, 0);
    if (node.uses.length) found.push([node.name, "gradient", at, sum, all[node.name].grad[position], size(backward)]);
  }
  return found;
}"""


def texts():
    """1,000 numbers: all sizes, ties, edges."""
    rng = np.random.default_rng(0)
    some = list(rng.standard_normal(400) * 10.0 ** rng.integers(-12, 12, 400))
    some += [float(v) for v in rng.integers(-(2**40), 2**40, 200)]
    some += [(k + 0.5) * 2.0**e for k in range(1000, 1100) for e in (-4, 0)]  # half way between two texts
    some += [k / 8 for k in range(-90, 90)]
    some += [
        0.0,
        -0.0,
        math.inf,
        -math.inf,
        math.nan,
        5e-324,
        1.7976931348623157e308,
        9999.5,
        99995.0,
        0.00099995,
        1e-4,
    ]
    some += [9.9995e-5, 99.995, 123456.0, 1e22]
    return some + list(rng.standard_normal(1000 - len(some)))


@pytest.mark.parametrize("places", [3, 4, 8, 12])
def test_a_thousand_texts_are_pythons(open_page, places):
    page = open_page()
    values = texts()
    assert len(values) == 1000
    bits = [np.float64(value).tobytes().hex() for value in values]
    shown = page.evaluate(
        """([bits, places]) => bits.map((hex) => {
          const bytes = Uint8Array.from(hex.match(/../g), (b) => parseInt(b, 16));
          return numbers().format(new Float64Array(bytes.buffer)[0], places);
        })""",
        [bits, places],
    )
    assert shown == [f"{value:.{places}g}" for value in values]


@pytest.mark.parametrize("model", ["tiny", "pretrained"])
def test_multiplied_out_is_what_python_computed(open_page, model):
    """Every tensor, forward and backward, at five entries: the page's sum of products is the number of the tape."""
    page = open_page()
    picks = [0.0, 0.03, 0.37, 0.61, 0.999999]
    found = page.evaluate(EVALUATE, [model, picks])
    wrong = [row for row in found if not abs(row[3] - row[4]) <= 1e-12 * max(1e-3, abs(row[5]), abs(row[4]))]
    assert len(found) > 300 and not wrong, json.dumps(wrong[:5])


OTHERS = {
    "mean": {"pool": "mean", "class_token": True},
    "patches, registers": {"pool": "patches", "registers": 3, "class_token": True},
    "both": {"pool": "cls+patches"},
    "layer scale": {"layer_scale": 0.3, "qkv_bias": False},
    "sines": {"positions": "sincos2d"},
    "no positions": {"positions": "none", "pre_norm": True, "gelu": "tanh"},
    "norm after": {"norm": "pool", "pool": "mean", "gelu": "quick"},
    "mlp head": {"head_hidden": 14, "depth": 3},
}


@pytest.mark.parametrize("name", OTHERS)
def test_multiplied_out_for_every_switch(chromium, open_page, name):
    from dataclasses import replace

    from minivit.initial import initial_params
    from minivit.learn.walk import TINY
    from minivit.page.models import Shown
    from minivit.page.session import Session

    from .conftest import serve

    config = replace(TINY, **{"depth": 2, **OTHERS[name]})
    params = initial_params(config, 1, "float64")
    params.flat += 0.1 * np.random.default_rng(2).standard_normal(params.flat.shape)
    url, stop = serve(Session([Shown("other", name, params, config)]))
    try:
        found = open_page(url=url).evaluate(EVALUATE, ["other", [0.0, 0.13, 0.52, 0.999999]])
    finally:
        stop()
    wrong = [row for row in found if not abs(row[3] - row[4]) <= 1e-12 * max(1e-3, abs(row[5]), abs(row[4]))]
    assert len(found) > 200 and not wrong, json.dumps(wrong[:5])


def test_thirty_tensors_show_pythons_numbers(open_page, served):
    """Opened by clicks on the tape; the numbers of their tables and their norms are those of a tape recorded here."""
    from minivit.learn.tape import norm, record
    from minivit.page.examples import ten_digits

    model = served.session._models["tiny"]
    tape = record(model.params, model.config, ten_digits().images[6], 2)
    page = open_page("#model=tiny&digit=6&label=2")
    page.click("button.fold")
    opened = 0
    for name in list(tape.steps)[:40]:
        step, way = tape.steps[name], "backward" if opened % 2 else "forward"
        if step.value.size == 1:
            continue
        strip = page.locator(f'[data-tensor="{name}"]')
        assert strip.locator(".norms span").all_inner_texts() == [f"{norm(x):.4g}" for x in (step.value, step.grad)]
        strip.click()
        page.click(f".ways button:nth-child({1 + opened % 2})")
        page.wait_for_selector(f'.detail[aria-label="{name}"] .matrix')
        page.click(".detail .astable summary")
        page.wait_for_selector(".detail .astable tbody tr")
        values = step.value if way == "forward" else step.grad
        flat = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values[None]
        rows = values.shape[-2] if values.ndim > 1 else 1
        expected = [[f"{v:.4g}" for v in row[:8]] for row in flat[:rows][:12]]
        table = page.locator(".detail .astable tbody tr")
        assert [row.locator("td").all_inner_texts() for row in table.all()] == expected, name
        opened += 1
    assert opened >= 30
