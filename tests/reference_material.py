"""Where the reference material lies: a real CEC2 scene, golden values and published scores.

It is not part of the repository. HEARLAB_REFERENCE names its folder; without it a folder `shared` beside the repository
is looked for.
"""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
REFERENCE = Path(os.environ.get("HEARLAB_REFERENCE", REPOSITORY.parent / "shared"))
