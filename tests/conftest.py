"""Fixtures that several tests share."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hearlab.kernels.arithmetic import fix
from reference_material import REFERENCE
from slow_order import LONGEST_FIRST

# As the hearlab command does, before anything imports numpy.
fix()

# What a script starts in the background ignores Ctrl-C, and so would every process that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Nor does the user's own configuration of DVC reach the tests, nor that of the machine.
os.environ["DVC_GLOBAL_CONFIG_DIR"] = str(Path(__file__).with_name("none"))
os.environ["DVC_SYSTEM_CONFIG_DIR"] = str(Path(__file__).with_name("dvc_of_machine"))
# Nor the width of a terminal: pytest's workers are told one that they do not have.
os.environ.pop("COLUMNS", None)


# The same examples each time, however slow the machine is; --hypothesis-profile=default draws others.
settings.register_profile("fixed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fixed")


OTHER_DISK = Path("/dev/shm")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and tests stay to the end: to look through them for garbage, again and again, takes seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    place = {folder / f"{name}.py": number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def _reference(part: str) -> Path:
    folder = REFERENCE / part
    if not folder.is_dir():
        pytest.skip(f"no reference material: {folder} does not exist (set HEARLAB_REFERENCE to its folder)")
    return folder


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test has HearLab remember as a secret is hidden for the rest of the process."""
    monkeypatch.setattr("hearlab.secrets._remembered", set())


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden values."""
    return _reference("golden")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real scene's data root: the folder that holds hrir/, dev/, train/ and metadata/."""
    return _reference("real") / "clarity_data"


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than `tmp_path`."""
    if not OTHER_DISK.is_dir() or OTHER_DISK.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip(f"{OTHER_DISK} is no other file system than {tmp_path}")
    with tempfile.TemporaryDirectory(dir=OTHER_DISK, prefix="hearlab-test-") as folder:
        yield Path(folder)
