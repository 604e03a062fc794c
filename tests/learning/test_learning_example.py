"""The example of docs/learning.md, with fewer steps."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from learning_curve import run


def test_gains_learned_in_a_few_steps_are_better_than_nal_r():
    names = run(steps=6)
    assert len(names["curve"]) == 6
    assert names["curve"][-1] > names["curve"][0]
    assert names["scores"]["learned"] > names["scores"]["NAL-R"] + 0.1
    assert names["sounds"]["learned"].std() < 1.01 * names["sounds"]["NAL-R"].std()
