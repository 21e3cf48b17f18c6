"""Run the whole tour: `python examples/make_figures.py` refreshes every figure in examples/figures in some seconds.

A folder as an argument takes the figures instead.
"""

import runpy
from pathlib import Path

for script in sorted(Path(__file__).parent.glob("[0-9]*.py")):
    print(f"\n== {script.name}")
    runpy.run_path(str(script))
