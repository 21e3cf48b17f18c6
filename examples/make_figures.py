"""Run the whole tour: `python examples/make_figures.py` redraws every figure in examples/figures in a few seconds.

Given a folder as an argument, it writes the figures there instead.
"""

import runpy
from pathlib import Path

for script in sorted(Path(__file__).parent.glob("[0-9]*.py")):
    print(f"\n== {script.name}")
    runpy.run_path(str(script))
