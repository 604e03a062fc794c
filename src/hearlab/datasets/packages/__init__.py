"""The challenges' packages: fetching them, unpacking them, and checking what is there.

catalogue = load_catalogue()
places = Places.of(Workspace(Path("data/clarity")))
fetch(catalogue["cec2-core"], places, "https://.../clarity_CEC2_core.v1_0.tgz")
unpack(catalogue["cec2-core"], places)
check(catalogue["cec2-core"], places, deep=True)
"""

from hearlab.datasets.download.retry import Retry
from hearlab.datasets.packages.archive_safety import HostileArchive, Limits
from hearlab.datasets.packages.catalogue import Package, find_package, load_catalogue, parse_checksum
from hearlab.datasets.packages.fetching import Fetched, fetch
from hearlab.datasets.packages.file_checks import Problem
from hearlab.datasets.packages.folders import LINK_TYPES, Places
from hearlab.datasets.packages.miniatures import make_small, pack_small
from hearlab.datasets.packages.space import disks, fetching_needs, unpacking_needs, working_link
from hearlab.datasets.packages.status import Status, check, status
from hearlab.datasets.packages.unpacking import Unpacked, unpack

__all__ = [
    "LINK_TYPES",
    "Fetched",
    "HostileArchive",
    "Limits",
    "Package",
    "Places",
    "Problem",
    "Retry",
    "Status",
    "Unpacked",
    "check",
    "disks",
    "fetch",
    "fetching_needs",
    "find_package",
    "load_catalogue",
    "make_small",
    "pack_small",
    "parse_checksum",
    "status",
    "unpack",
    "unpacking_needs",
    "working_link",
]
