"""What `minivit gradcheck` runs: every operation and every switch of the model, by both methods."""

from tqdm import tqdm

from ..errors import ConfigError
from ..rng import GRADIENT_CHECK, generator
from ..vit import ViT
from .cases import CASES, Case
from .check_model import check_model
from .checker import CAUSES
from .inputs import BOUNDS
from .model_cases import SWITCHES, Switch
from .raised import raised
from .report import EXPLAINED, Report, Results, Row

METHODS = {"differences": ("differences",), "complex": ("complex",), "both": ("differences", "complex")}


def run(op: str | None = None, method: str = "both", seed: int = 0, progress: bool = False) -> Results:
    """Check the gradients of every operation and of the whole model, down to the pixels, under every switch.

    op: the rows whose name is this or starts with it and a comma ("attention", "model", "pool, mean"), or all;
    method: "differences", "complex" or "both"; seed: of the inputs, the upstream gradients and the directions;
    progress: show a bar on stderr. An exception in an operation is a failure of its check, and the others go on. Causes
    are sought for the first EXPLAINED things that fail, by the first method that fails.
    Raises ConfigError for an unknown op or method.
    """
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
    rows = choose(op)
    reports: list[Report] = []
    for name, row in tqdm(rows.items(), disable=not progress, leave=False, unit="check"):
        for one in METHODS[method]:
            failed = {report.name for report in reports if not report.passed}
            causes = 0 if name in failed or len(failed) >= EXPLAINED else CAUSES
            reports.append(_check(name, row, one, seed, causes))
    return Results(tuple(reports))


def run_model(model: ViT, name: str, method: str = "differences", seed: int = 0) -> Results:
    """Check the gradients of a model that somebody trained or loaded, down to the pixels: one random direction for each
    tensor, in float64 on the CPU, on two random images and labels; of a model without a head, its features are the
    logits. method, seed: as in `run`."""
    config = model.config
    checked = ViT(config, params=model.params.to("cpu").astype("float64"))
    rng = generator(seed, GRADIENT_CHECK, 0, 7)
    images = rng.standard_normal((2, *config.image_shape))
    labels = rng.integers(0, config.classes or config.features, 2)
    reports = [check_model(checked, images, labels, method=one, seed=seed, name=name) for one in METHODS[method]]
    return Results(tuple(reports))


def _check(name: str, row: Case | Switch, method: str, seed: int, causes: int) -> Report:
    try:
        return row.check(name, method, seed, causes)
    except Exception as error:  # while its inputs were made, or by something that is no pair
        return Report(name, method, BOUNDS[method], seed, (Row.failed("check", (), raised(error)),))


def choose(op: str | None) -> dict[str, Case | Switch]:
    """The rows of the two tables that an op's name stands for. Raises ConfigError if there are none."""
    rows: dict[str, Case | Switch] = {**CASES, **SWITCHES}
    chosen = {name: row for name, row in rows.items() if op is None or name == op or name.startswith(op + ",")}
    if not chosen:
        names = dict.fromkeys(name.split(",")[0] for name in rows)
        raise ConfigError(f"no operation is called {op!r}: choose one of {', '.join(names)}")
    return chosen
