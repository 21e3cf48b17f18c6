"""The tables that the commands print."""

import numpy as np

from minivit.cli.tables import class_table, confusion_table
from minivit.train import Evaluation

CONFUSION = np.array([[3, 0, 2, 0], [0, 12, 0, 0], [1, 1, 2, 0], [0, 0, 0, 0]])  # no image of class 3
RESULT = Evaluation(0.5, 17, 21, CONFUSION)


def test_the_table_of_classes():
    assert class_table(RESULT, "0123").splitlines() == [
        "class  images  recall  precision  most often confused with",
        "    0       5   60.0 %     75.0 %  2 (2 times)",
        "    1      12  100.0 %     92.3 %  -",
        "    2       4   50.0 %     50.0 %  0 (1 times)",
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
    assert class_table(Evaluation(0.0, 5, 5, np.diag([2, 3])), "01").splitlines()[1:] == [
        "    0       2  100.0 %    100.0 %  -",
        "    1       3  100.0 %    100.0 %  -",
    ]


def test_classes_have_their_names():
    names = ("cat", "golden retriever")
    result = Evaluation(0.0, 3, 5, np.array([[2, 1], [1, 1]]))
    assert class_table(result, names).splitlines() == [
        "           class  images  recall  precision  most often confused with",
        "             cat       3   66.7 %     66.7 %  golden retriever (1 times)",
        "golden retriever       2   50.0 %     50.0 %  cat (1 times)",
    ]
    assert confusion_table(result, names).splitlines() == [
        "true \\ predicted   0 1",
        "             0 cat 2 1",
        "1 golden retriever 1 1",
    ]
