"""Where a network runs, and how its arithmetic is kept repeatable."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hearlab.errors import ParameterError
from hearlab.kernels.arithmetic import fixed_variables
from hearlab.networks.library import require_torch

if TYPE_CHECKING:
    import torch

WANTED = "auto, cpu, cuda or cuda:N"
KINDS = ("cpu", "cuda")
TINY = 1e-40  # not a normal number in single precision


def choose_device(name: str) -> torch.device:
    """The torch device of 'auto' (CUDA if there is one, else the CPU), 'cpu', 'cuda' or 'cuda:N'.

    Raises:
        ParameterError: another name, CUDA wanted where there is none, or a GPU with too high a number.
        InputError: torch is not installed.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", name) if isinstance(name, str) else None
    if match is None:
        raise ParameterError("device", "is unknown", found=repr(name), wanted=WANTED)
    torch = require_torch()
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        if name == "auto":
            return torch.device("cpu")
        raise ParameterError("device", "no CUDA device here", found=repr(name), wanted="auto or cpu")
    index = int(match[1] or 0)
    if index >= torch.cuda.device_count():
        raise ParameterError(
            "device", "no such GPU", found=repr(name), wanted=f"a number below {torch.cuda.device_count()}"
        )
    return torch.device("cuda", index)


@contextlib.contextmanager
def repeatable(threads: int | None) -> Iterator[None]:
    """Inside, the same input gives the same bytes, whatever ran before in this process; after it all is as it was.

    Everything that torch keeps for the whole process and that arithmetic depends on is set, also where it seems to be
    set already: when another library limits OpenMP, torch reports one thread while its MKL still takes several. The
    threads between operations are not among it: torch lets a process set them only once, and nothing here uses them.
    On CUDA the convolutions are deterministic, in full single precision. The global generator may be drawn from.

    Args:
        threads: the order in which sums are split over threads changes the last bits (of Hybrid Demucs, for one), so
            this fixes their number; None leaves torch's number as it is.
    """
    torch = require_torch()
    before, free = torch.get_num_threads(), not fixed_variables()
    settings: list[tuple[Callable[[Any], None], Any, Any]] = [  # how each is set, what is wanted, and what it was
        (torch.set_num_threads, before if threads is None else threads, before),
        (torch.set_default_dtype, torch.float32, torch.get_default_dtype()),
        (torch.set_deterministic_debug_mode, "default", torch.get_deterministic_debug_mode()),
        (torch.set_float32_matmul_precision, "highest", torch.get_float32_matmul_precision()),
        # oneDNN and NNPACK choose their loops by processor and cache; with MKL told to be compatible the rest does not.
        (torch.backends.mkldnn.set_flags, free, torch.backends.mkldnn.enabled),
        (torch.backends.nnpack.set_flags, free, _nnpack_enabled()),
        (torch.set_flush_denormal, False, _flushes_denormals()),
        *((partial(torch.set_autocast_enabled, kind), False, torch.is_autocast_enabled(kind)) for kind in KINDS),
    ]
    with contextlib.ExitStack() as stack:
        for change, wanted, was in settings:
            stack.callback(change, was)
            change(wanted)
        stack.enter_context(torch.random.fork_rng([]))
        stack.enter_context(
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        )
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if not free:
            stack.enter_context(_same_functions())
        yield


def _same_functions() -> Any:
    """Functions that torch takes from MKL's vector library, from others of its own that only add, multiply and divide.

    MKL's begin with the processor's estimate of a reciprocal, which each make has in another way (17 of 100 square
    roots are not the nearest number). MKL_CBWR does not reach them. These are those that the separators call and that
    were found to differ: docs/notes/same-bytes.md.
    """
    torch = require_torch()

    def square_root(x: Any) -> Any:
        return x.rsqrt().reciprocal()

    def arc_tangent(x: Any) -> Any:
        return torch.atan2(x, torch.ones_like(x))

    same = {
        torch.sqrt: square_root,
        torch.Tensor.sqrt: square_root,
        torch.atan: arc_tangent,
        torch.Tensor.atan: arc_tangent,
    }

    class SameFunctions(torch.overrides.TorchFunctionMode):  # type: ignore[name-defined]
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            if func in same and not kwargs:
                return same[func](*args)
            return func(*args, **(kwargs or {}))

    return SameFunctions()


def _nnpack_enabled() -> bool:
    """Torch has no way to ask; setting it tells what it was."""
    torch = require_torch()
    (before,) = torch.backends.nnpack.set_flags(True)
    torch.backends.nnpack.set_flags(before)
    return bool(before)


def _flushes_denormals() -> bool:
    with np.errstate(all="ignore"):
        return bool(np.float32(TINY) * np.float32(1) == 0)
