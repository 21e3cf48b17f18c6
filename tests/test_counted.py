"""How many of something, in words."""

from minivit.counted import counted


def test_counted():
    assert [counted(n, "epoch") for n in (0, 1, 12)] == ["0 epochs", "1 epoch", "12 epochs"]
    assert counted(1, "class", "classes") == "1 class" and counted(3, "class", "classes") == "3 classes"
