"""What a model gets wrong, worst first."""

import numpy as np

from minivit.data import Split
from minivit.run.mistakes import confident_mistakes, image_name, worst_confusions
from minivit.train.evaluate import judge

SHARES = np.array(
    [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]]
)
LABELS = np.array([0, 1, 1, 2, 1, 0])
IMAGES = np.arange(6 * 3 * 4, dtype=np.uint8).reshape(6, 1, 3, 4)
SPLIT, RESULT = Split(IMAGES, LABELS), judge(SHARES, LABELS)


def test_predictions_are_compared_with_labels():
    assert (RESULT.correct, RESULT.total) == (2, 6) and RESULT.confusion.tolist() == [[1, 0, 1], [2, 1, 0], [0, 1, 0]]
    assert RESULT.predictions.tolist() == [0, 0, 0, 1, 1, 2] and RESULT.confidences.tolist() == SHARES.max(1).tolist()
    np.testing.assert_allclose(RESULT.loss, -np.log([0.7, 0.3, 0.05, 0.1, 0.7, 0.3]).mean())


def test_the_most_confident_mistakes_come_first():
    found = confident_mistakes(SPLIT, RESULT)
    assert [(m.name, m.true, m.predicted, m.confidence) for m in found] == [
        ("image 2", 1, 0, 0.9),
        ("image 3", 2, 1, 0.8),
        ("image 1", 1, 0, 0.6),
        ("image 5", 0, 2, 0.4),
    ]
    np.testing.assert_array_equal(found[0].image, IMAGES[2])
    assert len(confident_mistakes(SPLIT, RESULT, most=2)) == 2


def test_the_worst_confusions_come_first():
    found = worst_confusions(SPLIT, RESULT)
    assert [(c.true, c.predicted, c.times, c.images) for c in found] == [(1, 0, 2, 3), (0, 2, 1, 2), (2, 1, 1, 1)]
    assert [m.name for m in found[0].examples] == ["image 2", "image 1"]
    assert [len(c.examples) for c in worst_confusions(SPLIT, RESULT, most=2, examples=1)] == [1, 1]


def test_without_mistakes_there_are_none():
    perfect = judge(np.eye(3), np.arange(3))
    split = Split(IMAGES[:3], np.arange(3))
    assert confident_mistakes(split, perfect) == [] and worst_confusions(split, perfect) == []


def test_images_are_called_by_their_file_or_their_row():
    assert image_name(SPLIT, 4) == "image 4"
    chosen = SPLIT.take(np.array([5, 2]))
    assert image_name(chosen, 1) == "image 2"
