"""The examples in the docstrings of `minivit.ops` print what they show."""

import doctest

import numpy as np
import pytest

from tests.docstrings import MODULES


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_print_what_they_show(name):
    results = doctest.testmod(MODULES[name], extraglobs={"np": np})
    assert results.attempted >= 3, "every module of ops has an example of three lines"
    assert results.failed == 0
