"""Scores: the table of tracks and metrics, score tables, their groups and statistics.

Called, `hearlab.scores(revision)`, it gives the scores of a result as a pandas table: see
`hearlab.report.compare.pairs.scores`. A function of that name could not stand beside the package.
"""

import sys
import types
from typing import Any

from hearlab.named import load_named


class _Scores(types.ModuleType):
    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return load_named("hearlab.report.compare.pairs:scores")(*arguments, **named)


sys.modules[__name__].__class__ = _Scores
