"""Objects that hold arrays, fresh or used, copied in every way Python knows: each learns and predicts the same."""

import copy
import importlib
import inspect
import pickle
import pkgutil
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import minivit
from minivit import Params, ViT, cross_entropy_backward, cross_entropy_forward, vit_backward
from minivit.data import Split
from minivit.data.resized import Resized
from minivit.errors import MinivitError
from minivit.masks import draw_masks
from minivit.optim import AdamWState, adamw_step
from minivit.parallel import WorkerPool, loss_and_grads
from minivit.preprocess import Preprocessing
from minivit.run import Run
from minivit.run.folder import Interrupted
from minivit.train import NotFinite, TrainConfig, Trainer, fit
from minivit.train.batches import Prefetcher
from minivit.train.evaluate import evaluate
from tests.tools import tiny

BATCH = tiny.images(9)
CONFIG = tiny.config(**tiny.DROPOUTS)
WAYS = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda one: pickle.loads(pickle.dumps(one))}


def model():
    return ViT(CONFIG, seed=3, preprocessing=Preprocessing(size=(8, 8)))


def trainer(steps=0, threads=2, **settings):
    made = Trainer(model(), TrainConfig(threads=threads, **settings), total_steps=9)
    for _ in range(steps):
        made.step(*BATCH)
    return made


def cache():
    one = model()
    return one.forward(tiny.images(4)[0].astype("float32"), np.random.default_rng(2))[1]


def used(one):
    one.predict(BATCH[0], threads=2)
    return one


def state(steps):
    made, vector = AdamWState.zeros_like(np.zeros(5)), np.zeros(5)
    for step in range(steps):
        adamw_step(vector, np.arange(5.0) + step, made, 0.1)
    return made


def learns(one):
    """What a model becomes in three steps, and what it predicts then."""
    return steps(Trainer(one, TrainConfig(threads=2, ema=0.9)))


def steps(one):
    losses = [float(one.step(*BATCH)) for _ in range(3)]
    assert len(set(losses)) == 3, "it does not learn"
    ema = b"" if one.ema is None else one.ema.tobytes()
    kept = one.averaged_model()
    return (
        losses,
        one.model.params.flat.tobytes(),
        ema,
        one.model.predict(BATCH[0]).tobytes(),
        kept.params.flat.tobytes(),
    )


def trains(params):
    return learns(ViT(CONFIG, params=params))


def moves(one):
    vector = np.ones(5)
    adamw_step(vector, np.arange(5.0), one, 0.1)
    return vector.tobytes(), one.m.tobytes(), one.v.tobytes(), one.step


class Near(np.ndarray):
    """Equal to rounding: an array that was pickled may lie otherwise in memory, and BLAS then adds in another order."""

    def __eq__(self, other):
        return np.allclose(np.asarray(self), np.asarray(other), rtol=1e-5, atol=1e-6)


def gradient(one):
    grads, pixels = vit_backward(np.ones((4, 3), "float32"), one)
    return np.concatenate([grads.flat, pixels.ravel()]).view(Near)


def values(one):
    """The bytes of every array in nested tuples."""
    if isinstance(one, tuple):
        return [values(part) for part in one]
    return values(one.flat) if isinstance(one, Params) else one.tobytes() if hasattr(one, "tobytes") else one


SPLIT = Split(*tiny.images(12))
OBJECTS = {  # name: (what makes it, what it does)
    "Params": (lambda: model().params, trains),
    "Params, used": (lambda: trainer(3).model.params, trains),
    "ViT": (model, learns),
    "ViT, used": (lambda: used(model()), learns),
    "ViT, float64": (lambda: ViT(CONFIG, dtype="float64"), learns),
    "Trainer": (trainer, steps),
    "Trainer, used": (lambda: trainer(3), steps),
    "Trainer with an average": (lambda: trainer(2, ema=0.9), steps),
    "the averaged model": (lambda: trainer(2, ema=0.9).averaged_model(), learns),
    "AdamWState": (lambda: state(0), moves),
    "AdamWState, used": (lambda: state(3), moves),
    "WorkerPool": (lambda: WorkerPool(2), lambda pool: list(pool.map(abs, [-1, 2, -3]))),
    "ViTCache": (cache, gradient),
    "Masks": (lambda: draw_masks(CONFIG, 2, np.random.default_rng(1), "float32"), values),
    "Split": (lambda: SPLIT, lambda split: evaluate(model(), split, WorkerPool(1)).loss),
    "Evaluation": (lambda: evaluate(model(), SPLIT, WorkerPool(1)), values),
    "BatchResult": (
        lambda: loss_and_grads(
            model().params, SPLIT.images.astype("float32"), SPLIT.labels, CONFIG, WorkerPool(1), seed=1, step=2
        ),
        values,
    ),
    "StepResult": (lambda: trainer().update(SPLIT.images.astype("float32"), SPLIT.labels), values),
    "NotFinite": (
        lambda: NotFinite("loss nan", *BATCH),
        lambda error: (str(error), values((error.images, error.labels))),
    ),
    "Resized": (
        lambda: Resized(SPLIT.images, 3, Preprocessing(rule="crop", size=(5, 7), interpolation="bilinear")),
        lambda images: values(images[[0, 3]]),
    ),
    "Run": (lambda: Run(None, model(), {}, None), lambda run: learns(run.model)),
}
COVERED = {  # the remaining classes that hold arrays: parts of what stands above, or never copied
    "BlockCache", "BlockMasks", "AttentionCache", "DotProductCache", "LinearCache", "LayerScaleCache",
    "RegistersCache", "ResizeCache", "EmbedCache", "LayerNormCache", "SoftmaxCache",
    "MlpCache", "PatchDropoutCache", "GeluCache", "PoolCache", "PatchEmbedCache", "CrossEntropyCache",
    "Chunk", "Features", "Mistake", "Confusion", "Neighbours",
    "RunningSums", "Dataset", "Pictures", "Loaded", "Decoded", "ImageFolder",
    "Base", "Ranks", "Line", "Passes", "Recorded", "Digits", "Drawing", "Examples", "Guard", "Kept", "Shown",
    "Prefetcher", "Display", "Images", "Saves", "Walk", "Place", "Gradient", "Operation", "Step",
}  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", OBJECTS)
def test_a_copy_does_the_same(name, how):
    make, behave = OBJECTS[name]
    one = make()
    other = WAYS[how](one)
    found = behave(other)
    assert found == behave(make()), "the copy does something else than a fresh one"
    if how != "copy" or isinstance(one, (Params, AdamWState)):
        assert behave(one) == found, "what the copy did changed the original"


def test_every_public_class_that_holds_arrays_is_here():
    found = set()
    for module in pkgutil.walk_packages(minivit.__path__, "minivit."):
        if module.name.startswith(("minivit.gradcheck", "minivit.weights", "minivit.__main__")):
            continue  # reports of the checker, and of files: numbers and names
        try:
            imported = importlib.import_module(module.name)
        except ModuleNotFoundError as missing:
            assert missing.name in ("starlette", "uvicorn"), "an extra is imported where it is used"
            continue
        for name, one in inspect.getmembers(imported, inspect.isclass):
            hints = [
                *getattr(one, "__annotations__", {}).values(),
                *getattr(one.__init__, "__annotations__", {}).values(),
            ]
            holds = any(word in str(hint) for hint in hints for word in ("Any", "ndarray", "ViT", "Params", "Split"))
            if one.__module__ == module.name and holds and not name.startswith("_"):
                found.add(name)
    assert {"Params", "ViT", "Trainer", "Split", "Prefetcher"} <= found
    known = {name.split()[0].rstrip(",") for name in OBJECTS} | COVERED
    assert found - known <= {"Recipe"}, "give it a row in OBJECTS"


@pytest.mark.parametrize("make", [lambda: Prefetcher(trainer(), SPLIT, 1), lambda: fit(trainer(), SPLIT)])
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_what_cannot_be_copied_says_so(make, how):
    with pytest.raises(TypeError, match="pickle"):
        WAYS[how](make())


@pytest.mark.parametrize(
    "make", [model, trainer, lambda: trainer(2, ema=0.9), lambda: model().params, lambda: state(2)]
)
def test_equality_and_repr(make):
    one, other = make(), make()
    assert one == one and repr(one) == repr(other) and len(repr(one)) < 1200
    assert one != 3 and not one == "a model"
    if not isinstance(one, Trainer):
        assert one == other
        vector = one.m if isinstance(one, AdamWState) else getattr(one, "params", one).flat
        vector[2] += 1
        assert one != other


def test_models_of_another_config_dtype_or_preprocessing_differ():
    others = ViT(tiny.config(), 3), ViT(CONFIG, 3, "float64"), ViT(CONFIG, 3)
    assert all(model() != other for other in others)


def test_assigning_the_vector_is_a_step():
    """The obvious gradient descent by hand moves the model."""
    one = model()
    images, labels = BATCH[0].astype("float32") / 255, BATCH[1]
    losses = []
    for _ in range(4):
        logits, kept = one.forward(images)
        loss, loss_cache = cross_entropy_forward(logits, labels)
        grads, _ = one.backward(cross_entropy_backward(np.float32(1), loss_cache), kept)
        one.params.flat = one.params.flat - 0.1 * grads.flat
        losses.append(float(loss))
    assert losses == sorted(losses, reverse=True) and len(set(losses)) == 4
    with pytest.raises(ValueError, match=r"flat has shape .* cannot take a value of shape \(\)"):
        one.params.flat = 0.0
    before = one.params["norm.bias"].copy()
    one.params.flat += 1
    assert (one.params["norm.bias"] == before + 1).all()


def test_read_only_arrays_are_only_read():
    """Images and labels from a memory map, and a model whose parameters are one."""
    images, labels = tiny.images(9)
    images.flags.writeable = labels.flags.writeable = False
    one = model()
    assert one.predict(images).tobytes() == model().predict(BATCH[0]).tobytes()
    assert float(Trainer(one, TrainConfig(threads=1)).step(images, labels)) > 0
    list(fit(trainer(), Split(images, labels)))
    mapped = model()
    mapped.params.flat.flags.writeable = False
    assert mapped.predict(images).tobytes() == model().predict(images).tobytes()
    assert learns(copy.deepcopy(mapped)) == learns(model())
    with pytest.raises(ValueError, match="read-only"):
        mapped.params.flat = mapped.params.flat + 1


@pytest.mark.parametrize("error", [NotFinite("loss nan", *BATCH), Interrupted("stopped", 15), MinivitError("a line")])
def test_errors_reach_another_process(error):
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error) and str(other) == str(error)
    assert getattr(other, "number", None) == getattr(error, "number", None)


# Threads and forks


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_many_threads_predict_and_train_at_once(monkeypatch):
    tiny.little_shards(monkeypatch, 10)
    one, expected, found, before = model(), model().predict(BATCH[0]), [], blas_threads()
    ends = learns(model())

    def work(index):
        for _ in range(5):
            found.append(one.predict(BATCH[0], threads=1 + index % 3).tobytes() == expected.tobytes())
        found.append(learns(model()) == ends)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 36 and all(found)
    assert blas_threads() == before


FORK = """
import multiprocessing, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking a process that has threads
from threadpoolctl import threadpool_info
import minivit.parallel as parallel
parallel.TOKENS_PER_SHARD, parallel.FLOATS_PER_SHARD, parallel.FLOATS_FOR_THREADS = 10, 0, 0
from minivit import ViT
from minivit.train import TrainConfig, Trainer
from tests.tools import tiny
images, labels = tiny.images(9)
model = ViT(tiny.config())
trainer = Trainer(model, TrainConfig(threads=2))
trainer.step(images, labels)
model.predict(images, threads=2)
blas = lambda: [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
def child(_):
    return [float(trainer.step(images, labels)) for _ in range(3)], model.predict(images, threads=2).tobytes(), blas()
with multiprocessing.get_context("fork").Pool(1) as pool:
    there = pool.map_async(child, [0]).get(60)[0]
inside = trainer.pool.map(lambda item: item, [1, 2, 3])
next(inside)  # BLAS is limited while the process forks
with multiprocessing.get_context("fork").Pool(1) as pool:
    limited = pool.map_async(child, [0]).get(60)[0]
inside.close()
here = child(0)
assert there == here, (there[0], here[0])
assert limited[:2] == here[:2]
print("the same")
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system cannot fork")
def test_a_model_that_was_used_works_after_a_fork():
    status, out, errors = tiny.python(FORK)
    assert (status, out, errors) == (0, "the same\n", "")


def test_blas_has_its_threads_back_whatever_overlaps():
    before = blas_threads()
    first, second = WorkerPool(1), WorkerPool(2)
    one, other = first.map(abs, [1, 2]), second.map(abs, [1, 2])
    for started in (one, other):
        next(started)
    assert set(blas_threads()) == {1}
    one.close()
    assert set(blas_threads()) == {1}
    other.close()
    assert blas_threads() == before

    def fails(item):
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        list(first.map(fails, [1, 2]))
    assert blas_threads() == before


def test_underflow_is_harmless_whatever_numpy_was_told():
    """Somebody's `np.seterr(all="raise")` changes no number and stops nothing."""
    expected = learns(model()), float(evaluate(model(), SPLIT, WorkerPool(2), 2).loss)
    with np.errstate(all="raise"):
        assert (learns(model()), float(evaluate(model(), SPLIT, WorkerPool(2), 2).loss)) == expected
        one = model()
        one.params["norm.bias"] = np.full(8, 1e-30)  # its square is no float32
        trained = Trainer(one, TrainConfig(threads=1))
        trained.state.m += np.float32(1e-38)
        for _ in range(20):
            trained.step(*BATCH)
