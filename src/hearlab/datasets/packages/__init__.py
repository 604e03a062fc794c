"""The challenges' packages: fetching, unpacking and checking them.

catalogue = load_catalogue()
folders = PackageFolders.of(packages_home(Path(), "clarity").folder)
fetch(catalogue["cec2-core"], folders, "https://.../clarity_CEC2_core.v1_0.tgz")
unpack(catalogue["cec2-core"], folders)
check(catalogue["cec2-core"], folders, deep=True)
"""

from hearlab.datasets.download.file import Connection
from hearlab.datasets.download.retry import Retry
from hearlab.datasets.packages.archive_safety import HostileArchive, Limits
from hearlab.datasets.packages.catalogue import Package, find_package, load_catalogue, parse_checksum
from hearlab.datasets.packages.fetching import Fetched, fetch
from hearlab.datasets.packages.file_checks import Problem
from hearlab.datasets.packages.folders import PackageFolders
from hearlab.datasets.packages.home import Home, packages_home
from hearlab.datasets.packages.space import disks, fetching_needs, unpacking_needs
from hearlab.datasets.packages.status import Status, check, status
from hearlab.datasets.packages.unpacking import Unpacked, unpack

__all__ = [
    "Connection",
    "Fetched",
    "Home",
    "HostileArchive",
    "Limits",
    "Package",
    "PackageFolders",
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
    "packages_home",
    "parse_checksum",
    "status",
    "unpack",
    "unpacking_needs",
]
