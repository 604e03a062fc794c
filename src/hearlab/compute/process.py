"""What concerns the process that runs units: how many workers it has, its signals, its threads, Ray's token."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from typing import Any

from threadpoolctl import threadpool_limits

from hearlab.cores import usable_cores
from hearlab.errors import ParameterError

# Read by numeric libraries when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# How often a unit is tried again after its worker or node died; units that fail by themselves are not tried again.
RETRIES = 3
AGAIN_SECONDS = 0.01  # after which an interruption that was lost comes again


def worker_count() -> int:
    """Number of local workers: HEARLAB_WORKERS, or the cores this process may use."""
    text = os.environ.get("HEARLAB_WORKERS")
    if text is None:
        return usable_cores()
    if not text.isdecimal() or int(text) < 1:
        raise ParameterError("HEARLAB_WORKERS", "wrong value", found=text, wanted="a number of workers")
    return int(text)


def how_ended(code: int | None) -> str:
    """How a process ended, by its exit code."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return f"{signal.Signals(-code).name}: {signal.strsignal(-code)}"
    except ValueError:
        return f"signal {-code}"


def process_died(how: str) -> str:
    """The cause of a unit's failure by which its process has died."""
    return f"its process died ({how})"


def died_so_often(how: str) -> str:
    """The cause of a unit's failure whose workers have died each time that it was tried."""
    return f"its worker process died {RETRIES + 1} times ({how}); set HEARLAB_WORKERS lower, or to 1 to see where"


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C inside the block."""

    with no_interruption_is_lost():
        former = signal.signal(signal.SIGTERM, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, former)


def interrupt(*unused: object) -> None:
    """A signal's handler: what Ctrl-C does."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def no_interruption_is_lost() -> Iterator[None]:
    """Have an interruption come again inside the block that came where Python cannot pass it on.

    Such as in the callback of a weak reference: Python prints it there, and goes on.
    """
    former, ignored = signal.signal(signal.SIGALRM, interrupt), sys.unraisablehook

    def again(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
        else:
            ignored(unraisable)

    sys.unraisablehook = again
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = ignored
        signal.signal(signal.SIGALRM, former)


class OneThread(contextlib.AbstractContextManager["OneThread"]):
    """Keeps the numeric libraries of this process to one thread, as Ray's workers have it: others change last bits.

    What is loaded later goes by the environment. torch is told by itself: its MKL cannot be seen from outside.
    Looking through the libraries takes 0.4 ms, so it is done again only when a unit has imported more.
    """

    def __init__(self) -> None:
        self._limits = contextlib.ExitStack()
        self._modules = 0
        self._torch = False

    def __enter__(self) -> OneThread:
        self._limits.callback(_restore, {name: os.environ.get(name) for name in THREAD_VARIABLES})
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
        return self

    def limit(self) -> None:
        """Limit what is loaded by now."""
        if len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            torch = sys.modules.get("torch")
            if torch is not None and not self._torch:
                self._torch = True
                self._limits.callback(torch.set_num_threads, torch.get_num_threads())
                torch.set_num_threads(1)
            self._limits.enter_context(threadpool_limits(1))
            if "numpy" in sys.modules:
                from hearlab.kernels.retained_memory import keep_freed_memory

                keep_freed_memory()  # else training pays for 1,100 new pages in each step

    def __exit__(self, *unused: object) -> None:
        self._limits.close()


def _restore(environment: dict[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def private_ray_token() -> None:
    """Give a private Ray a token of its own; without it Ray would leave one in the home folder.

    Ray reads it when it is imported. An enhancement system may have imported it before: then it is asked to read again.
    """
    if not os.environ.get("RAY_ADDRESS") and "RAY_AUTH_MODE" not in os.environ:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
        if "ray" in sys.modules:
            with contextlib.suppress(ImportError, AttributeError):
                from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

                Config.initialize("")
                AuthenticationTokenLoader.instance().reset_cache()
