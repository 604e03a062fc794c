"""The subcommands of `hearlab`, one module each, found by their names: `add` puts it into the parser.

What a command needs is imported when it runs, so that `hearlab --help` is quick.
"""

from __future__ import annotations

import argparse
from typing import TypeAlias

# In quotes, because argparse's class takes no parameters when the program runs.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
