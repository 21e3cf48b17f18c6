"""Every name, method and keyword that the package uses on arrays exists in the stock CuPy."""

import pathlib

import pytest

import minivit

pytestmark = [pytest.mark.cupy, pytest.mark.usefixtures("cupysim")]
PACKAGE = pathlib.Path(minivit.__file__).parent
PICTURES = [PACKAGE / "preprocess" / f"{name}.py" for name in ("decode", "digit", "doubts", "pictures")]
HOST = [*PACKAGE.glob("data/*.py"), *PICTURES]  # NumPy's and pillow's
FILES = sorted(set(PACKAGE.rglob("*.py")) - set(HOST))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_cupy_has_what_the_package_uses(path):
    from tests.tools.surface_check import check_file

    problems, _ = check_file(path, {"xp"})
    assert problems == []


def test_the_check_finds_what_cupy_lacks(tmp_path):
    from tests.tools.surface_check import check_file

    source = tmp_path / "wrong.py"
    source.write_text("xp.vecdot(x, y)\nxp.matmul(x, y, z)\nxp.exp(x, where=m)\nx.sum(initial=0)\nxp.exp(x)\n")
    problems, used = check_file(source, {"xp"})
    assert [line for line, _ in problems] == [1, 2, 3, 4]
    assert used == {"vecdot", "matmul", "exp"}
