"""`python -m hearlab`: the `hearlab` command."""

import sys

from hearlab.cli import main

sys.exit(main())
