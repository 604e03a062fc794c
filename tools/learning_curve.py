"""The picture of docs/learning.md: runs the example that stands there, and draws its curve beside NAL-R.

python tools/learning_curve.py        write docs/images/learning.svg, print the scores and the time
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs/learning.md"
PICTURE = REPOSITORY / "docs/images/learning.svg"


def example() -> str:
    """The lines of the example: the page's second block of Python."""
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[1]


def run(steps: int | None = None) -> dict[str, Any]:
    """What the example leaves behind, after so many steps instead of its own."""
    names: dict[str, Any] = {}
    lines = example() if steps is None else re.sub(r"(STEPS = .*, )\d+\n", rf"\g<1>{steps}\n", example())
    exec(compile(lines, str(PAGE), "exec"), names)
    return names


def main() -> int:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    start = time.perf_counter()
    names = run()
    seconds = time.perf_counter() - start
    matplotlib.rcParams.update({"svg.hashsalt": "hearlab", "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    axes.plot(range(1, len(names["curve"]) + 1), names["curve"], label="gains learned by gradient ascent")
    axes.axhline(names["scores"]["NAL-R"], color="tab:orange", linestyle="--", label="NAL-R")
    axes.axhline(names["scores"]["unprocessed"], color="tab:gray", linestyle=":", label="unprocessed")
    axes.set(xlabel="step", ylabel="HASPI", ylim=(0, 1))
    axes.legend(loc="center right")
    figure.savefig(PICTURE, metadata={"Date": None})
    print(f"{seconds:.1f} s;", ", ".join(f"{name} {score:.3f}" for name, score in names["scores"].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
