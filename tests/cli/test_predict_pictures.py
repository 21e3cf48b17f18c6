"""Pictures that people make, given to the model that comes with minivit: digits of the test set, dark on light, of
three sizes, off the centre, in colour, transparent, on grey paper. At least 45 of 50 keep their class."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from minivit.cli import main
from minivit.data import load
from minivit.errors import DataError
from minivit.preprocess import Preprocessing, read_picture
from minivit.run import load_run
from minivit.run.load import PRETRAINED

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")

from tests.preprocess.photos import PHOTOS  # noqa: E402

SIZES = (20, 64, 200)  # the side of a digit's frame of 28 pixels, in pixels of the picture
KINDS = ("grey", "RGB", "RGBA", "on grey paper", "light on dark")
PICTURES = 50
LIKE_MNIST = Preprocessing("digit", "dark", (28, 28))


def draw(digit, size, kind, rng):
    """A picture of a digit (28, 28) of 0..255: its frame scaled to `size`, somewhere on a larger sheet."""
    ink = np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC), "float32") / 255
    height, width = (round(size * factor) for factor in rng.uniform(1.2, 2, 2))
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    sheet = np.zeros((height, width), "float32")
    sheet[top : top + size, left : left + size] = ink
    if kind == "RGBA":  # blue ink on nothing
        colour = np.broadcast_to(np.array([20, 20, 120], "uint8"), (height, width, 3))
        return Image.fromarray(np.dstack([colour, np.rint(255 * sheet).astype("uint8")]))
    paper = {"RGB": [250, 245, 235], "on grey paper": [150], "light on dark": [30]}.get(kind, [255])
    pen = {"RGB": [40, 30, 90], "on grey paper": [25], "light on dark": [240]}.get(kind, [0])
    picture = np.array(paper) + sheet[..., np.newaxis] * (np.array(pen) - np.array(paper))
    return Image.fromarray(np.rint(picture).astype("uint8").squeeze())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """50 files, five of each digit, of every size and kind, and their labels."""
    folder, test = tmp_path_factory.mktemp("pictures"), load("mnist5k").test
    rng = np.random.default_rng(0)
    rows = np.concatenate(
        [rng.choice(np.flatnonzero(test.labels == k), PICTURES // 10, replace=False) for k in range(10)]
    )
    forms = itertools.cycle(itertools.product(SIZES, KINDS))
    paths = []
    for i, (row, (size, kind)) in enumerate(zip(rows, forms)):
        paths.append(str(folder / f"{i}-{size}-{kind}.png"))
        draw(test.images[row, 0], size, kind, rng).save(paths[-1])
    return paths, test.labels[rows]


@pytest.fixture(scope="module")
def model():
    if not (PRETRAINED / "model.safetensors").exists():
        pytest.skip("no trained model comes with this version of minivit")
    return load_run("pretrained").model


def test_the_pictures_are_of_every_size_and_kind(pictures):
    modes, sides = [], []
    for path in pictures[0]:
        with Image.open(path) as image:
            modes.append(image.mode)
            sides.append(max(image.size))
    assert len(modes) == PICTURES and set(modes) == {"L", "RGB", "RGBA"}
    assert min(sides) < 45 and max(sides) > 200
    assert len({tuple(read_picture(path, 1, LIKE_MNIST).ravel()) for path in pictures[0]}) == PICTURES


def test_pictures_keep_their_class(pictures, model):
    paths, labels = pictures
    preprocessing = model.preprocessing or Preprocessing.default(model.config)
    images = [read_picture(path, model.config.channels, preprocessing) for path in paths]
    found = model.predict(np.stack(images)).argmax(-1)
    wrong = [f"{Path(path).name}: {label} taken for {k}" for path, label, k in zip(paths, labels, found) if k != label]
    assert len(wrong) <= 5, "\n".join(wrong)


@pytest.mark.filterwarnings("ignore::minivit.errors.DataWarning")  # some are right all the same
@pytest.mark.parametrize("kind", PHOTOS, ids=lambda kind: kind.__name__)
def test_photos_keep_their_class(kind, model, tmp_path):
    """Those that people take: cut out tightly, far away, in a shadow, on ruled paper, on a table."""
    test, rng, right = load("mnist5k").test, np.random.default_rng(0), 0
    step = 100 if kind.__name__ == "far_away" else 20  # ten large ones, 50 others
    for digit, label in zip(test.images[::step, 0], test.labels[::step]):
        Image.fromarray(kind(digit, rng)).save(tmp_path / "photo.bmp")
        try:
            picture = read_picture(tmp_path / "photo.bmp", 1, LIKE_MNIST)
            right += int(model.predict(picture[np.newaxis])[0].argmax() == label)
        except DataError:  # no digit stands out
            pass
    assert right >= PHOTOS[kind] * 20 / step


def test_a_doubtful_picture_is_predicted_and_said_to_be_doubtful(model, tmp_path, capsys):
    digits = np.concatenate(list(load("mnist5k").test.images[[0, 200], 0]), 1)
    Image.fromarray(255 - digits).save(tmp_path / "two.png")
    assert main(["predict", "pretrained", str(tmp_path / "two.png")]) == 0
    out, errors = capsys.readouterr()
    assert out.startswith(f"{tmp_path / 'two.png'}: ") and out.count("\n") == errors.count("\n") == 1
    assert errors.startswith(f"warning: {tmp_path / 'two.png'} may not show one digit: it holds several strokes apart")


def test_the_command_says_the_same(pictures, model, capsys):
    paths, labels = pictures
    assert main(["predict", "pretrained", *paths[:10]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == paths[:10]
    assert sum(line.split(": ")[1].startswith(f"{label} (") for line, label in zip(lines, labels)) >= 8
