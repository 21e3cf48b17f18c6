"""The tables that the commands print."""

import numpy as np

from minivit.cli.tables import class_table, confusion_list, confusion_table, prediction_line
from minivit.run.mistakes import Confusion, Mistake
from minivit.train import Evaluation

CONFUSION = np.array([[3, 0, 2, 0], [0, 12, 0, 0], [1, 1, 2, 0], [0, 0, 0, 0]])  # no image of class 3


def evaluation(confusion):
    """What an evaluation with this confusion matrix is."""
    predictions = np.repeat(np.indices(confusion.shape)[1].ravel(), confusion.ravel())
    total = len(predictions)
    return Evaluation(0.5, int(confusion.trace()), total, confusion, predictions, np.full(total, 0.9))


RESULT = evaluation(CONFUSION)


def test_the_table_of_classes():
    assert class_table(RESULT, "0123").splitlines() == [
        "class  images  recall  precision  most often confused with",
        "    0       5   60.0 %     75.0 %  2 (2 times)",
        "    1      12  100.0 %     92.3 %  -",
        "    2       4   50.0 %     50.0 %  0 (1 time)",
        "    3       0        -          -  -",
    ]


def test_the_confusion_matrix():
    assert confusion_table(RESULT, "0123").splitlines() == [
        "true \\ predicted  0  1  2  3",
        "               0  3  .  2  .",
        "               1  . 12  .  .",
        "               2  1  1  2  .",
        "               3  .  .  .  .",
    ]


def test_a_perfect_result():
    assert class_table(evaluation(np.diag([2, 3])), "01").splitlines()[1:] == [
        "    0       2  100.0 %    100.0 %  -",
        "    1       3  100.0 %    100.0 %  -",
    ]


def test_classes_have_their_names():
    names = ("cat", "golden retriever")
    result = evaluation(np.array([[2, 1], [1, 1]]))
    assert class_table(result, names).splitlines() == [
        "           class  images  recall  precision  most often confused with",
        "             cat       3   66.7 %     66.7 %  golden retriever (1 time)",
        "golden retriever       2   50.0 %     50.0 %  cat (1 time)",
    ]
    assert confusion_table(result, names).splitlines() == [
        "true \\ predicted   0 1",
        "             0 cat 2 1",
        "1 golden retriever 1 1",
    ]


def test_a_prediction_is_one_line():
    assert prediction_line("new/a.jpg", {"cat": 0.931, "dog": 0.05}) == "new/a.jpg: cat (93.1 %), then dog (5.0 %)"
    best = {"a": 0.5, "b": 0.25, "c": 0.125}
    assert prediction_line("x\ny", best) == "x\\ny: a (50.0 %), then b (25.0 %), c (12.5 %)"
    assert prediction_line("x", {"only": 1.0}) == "x: only (100.0 %)"


def test_the_worst_confusions_name_their_pictures():
    pixels = np.zeros((1, 2, 2), np.uint8)
    examples = [Mistake("dog/1.jpg", pixels, 1, 0, 0.9712), Mistake("dog/2.jpg", pixels, 1, 0, 0.8)]
    worst = [Confusion(1, 0, 5, 40, examples), Confusion(0, 1, 1, 30, [Mistake("image 3", pixels, 0, 1, 0.51)])]
    assert confusion_list(worst, ["cat", "dog"]).splitlines() == [
        "worst confusions",
        "  dog predicted as cat, 5 of 40: dog/1.jpg (97.1 %), dog/2.jpg (80.0 %), ...",
        "  cat predicted as dog, 1 of 30: image 3 (51.0 %)",
    ]
