"""The process that runs units: the threads of numeric libraries, and interruptions."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from waits import LONGEST

# A unit that loads torch, and the units after it.
LATE = """
import os, re
from hearlab.compute.process import OneThread
def threads():
    import torch
    return {int(n) for n in re.findall(r"(?:omp|mkl)_get_max_threads\\(\\) : (\\d+)", torch.__config__.parallel_info())}
if "before" in os.environ["ORDER"]:
    import torch
    torch.set_num_threads(2)
with OneThread() as one:
    for unit in range(3):
        one.limit()
        assert threads() == {1}, (unit, threads())
assert "OMP_NUM_THREADS" not in os.environ
assert os.environ["MKL_NUM_THREADS"] == "2"
if "before" in os.environ["ORDER"]:
    assert threads() == {2}
"""


@pytest.mark.slow
@pytest.mark.parametrize("order", ["before", "by the first unit"])
def test_every_unit_has_one_thread(order: str) -> None:
    pytest.importorskip("torch", reason="needs hearlab[music]")
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment |= {"ORDER": order, "MKL_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", LATE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


LOST = """
import os, signal, sys, time, weakref
from hearlab.compute.process import sigterm_interrupts


def gone(reference):
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    time.sleep(600)


class Thing:
    pass


with sigterm_interrupts():
    thing = Thing()
    reference = weakref.ref(thing, gone)
    try:
        del thing
        time.sleep(600)
    except KeyboardInterrupt:
        print("interrupted")
assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interruption_within_a_callback_is_not_lost(name: str) -> None:
    """Python prints it, and goes on: the stage went on, too."""
    done = subprocess.run([sys.executable, "-c", LOST, name], capture_output=True, text=True, timeout=LONGEST)
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)
