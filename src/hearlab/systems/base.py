"""The interface of enhancement systems, loading one by its dotted name, and checking what it returns."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import json
import random
import re
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from hearlab.arrays import Array
from hearlab.audio import check_signal
from hearlab.compute.code.file_cache import digests
from hearlab.compute.code.param_files import named_files
from hearlab.errors import InputError, ParameterError
from hearlab.kernels.arithmetic import own_system_is_native
from hearlab.learners import LEARNED
from hearlab.listeners import Listener
from hearlab.params import Enhance

BASELINE = "hearlab.systems.baseline:Baseline"
FITTED = "hearlab.systems.fitted:Fitted"
METHODS = {"speech": ("microphones", "rate", "listener"), "music": ("stems", "rate", "listener")}

T = TypeVar("T")
_DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_WHERE = "enhance.system"


@runtime_checkable
class EnhancementSystem(Protocol):
    """What an entrant's system looks like; it need not inherit from this class.

    There is one instance in each worker process, so that a network is loaded once. Arguments must not be changed in
    place.

    Examples:
        >>> class Passing:
        ...     def __init__(self, gain=0.0):
        ...         self.factor = 10 ** (gain / 20)
        ...     def speech(self, microphones, rate, listener):
        ...         return self.factor * microphones["CH1"]
        ...     def music(self, stems, rate, listener):
        ...         return {name: self.factor * samples for name, samples in stems.items()}
        >>> system: EnhancementSystem = Passing(gain=6)
    """

    def __init__(self, **params: Any) -> None:
        """`params` are those of `enhance.params` in params.yaml."""

    def speech(self, microphones: dict[str, Array], rate: int, listener: Listener) -> Array:
        """Enhance the microphone signals of a scene for one listener.

        Args:
            microphones: 'CH0' (ear drum), 'CH1' (front), 'CH2' (mid), 'CH3' (rear), each (n, 2), left and right, in
                [-1, 1]; an RMS of 1 is 100 dB SPL.
            rate: 44100 Hz.
            listener: with an audiogram for each ear.

        Returns:
            (n', 2) float samples; values outside of [-1, 1] are clipped when the file is written.
        """
        ...

    def music(self, stems: dict[str, Array], rate: int, listener: Listener) -> dict[str, Array]:
        """Fit separated music to one listener.

        Args:
            stems: 'vocals', 'drums', 'bass', 'other', each (n, 2).
            rate: sample rate in Hz.
            listener: with an audiogram for each ear.

        Returns:
            the same keys, each (n', 2) float samples.
        """
        ...


def is_baseline(dotted: str) -> bool:
    """Whether a dotted name is the baseline's, whose parameters have their own keys in params.yaml."""
    return dotted == BASELINE


def is_fitted(dotted: str) -> bool:
    """Whether a dotted name is that of the music system whose filters the stage fit_music makes."""
    return dotted == FITTED


def load_system(dotted: str, params: Mapping[str, Any]) -> EnhancementSystem:
    """Import `package.module:Class` and make an instance with `params`.

    Raises:
        ParameterError: the name is malformed, the module or class does not exist or cannot be imported, the class
            lacks a method, or its constructor refuses a parameter; the line names which.

    Examples:
        >>> load_system("hearlab.systems.baseline:Baseline", {"gain": 3})  # doctest: +ELLIPSIS
        <hearlab.systems.baseline.Baseline object at ...>
    """
    system_class = _find_class(dotted)
    for method, arguments in METHODS.items():
        _check_method(dotted, system_class, method, arguments)
    _check_params(dotted, system_class, params)
    try:
        system: EnhancementSystem = system_class(**params)
    except InputError as error:
        raise ParameterError(
            dotted,
            error.problem,
            field=error.field or error.where,
            found=error.found,
            wanted=error.wanted,
            advice=error.advice,
        ) from error
    except (Exception, SystemExit) as error:  # an entrant's code may raise anything; the cause stays attached
        raise ParameterError(dotted, "could not be constructed", found=_cause(error)) from error
    return system


def system_arguments(enhance: Enhance, params: Mapping[str, Any] | None = None) -> dict[str, str]:
    """What `shared_system` makes the system of params.yaml from: its name, and its constructor's arguments as JSON.

    The constructor gets enhance.params, and the baseline its own section of params.yaml, too. Where a parameter names
    a file, the hashes of such files are there, too: other weights under the same name are another system.
    """
    own = enhance.params if params is None else params
    constructor = {**hearing_aid_params(enhance), **own}
    arguments = {"system": enhance.system, "constructor": json.dumps(constructor, sort_keys=True)}
    files = {name: digests.of(path)[1] for name, path in named_files(own).items()}
    return {**arguments, "files": json.dumps(files, sort_keys=True)} if files else arguments


def hearing_aid_params(enhance: Enhance) -> dict[str, Any]:
    """The baseline's own section of params.yaml, for the systems that end in the baseline with its parameters."""
    own = {"gain", "nalr", "compressor", "soft_clip", "music_compressor"}
    return enhance.model_dump(include=own if enhance.system in (BASELINE, LEARNED) else set())


def is_own_of_hearlab(system: str) -> bool:
    """Whether a system is one of HearLab's."""
    return system.partition(".")[0] == "hearlab"


def is_native_system(system: str) -> bool:
    """Whether a system computes as fast as the machine can: one's own does, unless HEARLAB_NATIVE=0."""
    return not is_own_of_hearlab(system) and own_system_is_native()


@functools.lru_cache(maxsize=1)
def shared_system(system: str, constructor: str, files: str = "") -> EnhancementSystem:
    """The one instance of this process, so that a network is loaded once; see `system_arguments`.

    Raises as `load_system`.
    """
    _find_class(system)  # its module is there before the generators are seeded, and torch with it
    return seeded(system, lambda: load_system(system, json.loads(constructor)))


def seeded(name: str, call: Callable[[], T]) -> T:
    """What `call` gives after `seed_generators`, whether or not torch is loaded before."""
    without_torch = "torch" not in sys.modules
    seed_generators(name)
    result = call()
    if without_torch and "torch" in sys.modules:
        # The call has loaded it, with a state that no later unit of this process would begin with.
        seed_generators(name)
        result = call()
    return result


def seed_generators(name: str) -> None:
    """Seed the global generators of Python, numpy and, if it is loaded, torch, from which a system may draw, by a name.

    What a system draws then depends on its unit, and not on what ran before in the process.
    """
    seed = zlib.crc32(name.encode())
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _find_class(dotted: str) -> type[Any]:
    if not isinstance(dotted, str) or not _DOTTED_NAME.fullmatch(dotted):
        raise ParameterError(
            _WHERE, "malformed name", found=repr(dotted), wanted="package.module:Class, such as my_lab.net:MyEnhancer"
        )
    module_name, _, class_name = dotted.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        own = error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}."))
        if not own:
            raise ParameterError(
                _WHERE,
                f"{module_name} needs a module that is not installed",
                found=error.name,
                advice="install it into the environment of HearLab",
            ) from error
        raise ParameterError(
            _WHERE,
            "no such module",
            found=error.name,
            wanted=f"a module that holds {class_name}",
            advice="install its package into the environment of HearLab, or name its folder in PYTHONPATH",
        ) from None
    except (Exception, SystemExit) as error:  # an entrant's module may raise anything while it is imported
        raise ParameterError(_WHERE, f"{module_name} cannot be imported", found=_cause(error)) from error
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        classes = [name for name, value in vars(module).items() if inspect.isclass(value)]
        near = difflib.get_close_matches(class_name, classes, n=3)
        raise ParameterError(
            _WHERE,
            f"{module_name} has no such class" if found is None else "is not a class",
            found=class_name,
            wanted=f"one of {', '.join(near)}" if near else None,
        )
    return found


def _check_method(dotted: str, system_class: type[Any], method: str, arguments: tuple[str, ...]) -> None:
    wanted = f"{method}({', '.join(arguments)})"
    function = getattr(system_class, method, None)
    if not callable(function):
        raise ParameterError(dotted, "method is missing", field=method, wanted=wanted, advice="see docs/own-system.md")
    bound = inspect.getattr_static(system_class, method)
    own = () if isinstance(bound, staticmethod | classmethod) else (None,)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # compiled code may have no signature
        return
    try:
        signature.bind(*own, *arguments)
    except TypeError:
        raise ParameterError(
            dotted, "method takes other arguments", field=method, found=f"{method}{signature}", wanted=wanted
        ) from None


def _check_params(dotted: str, system_class: type[Any], params: Mapping[str, Any]) -> None:
    """Compare the parameters with the constructor's signature."""
    try:
        accepted = inspect.signature(system_class).parameters.values()
    except (TypeError, ValueError):
        return
    by_name = [p for p in accepted if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [parameter.name for parameter in by_name]
    unknown = [name for name in params if name not in names]
    if unknown and not any(parameter.kind == parameter.VAR_KEYWORD for parameter in accepted):
        near = difflib.get_close_matches(unknown[0], names, n=1)
        raise ParameterError(
            dotted,
            "constructor has no such parameter",
            field=unknown[0],
            wanted=f"one of {', '.join(names)}" if names else "no parameters",
            advice=f"did you mean {near[0]}?" if near else None,
        )
    for parameter in by_name:
        if parameter.default is parameter.empty and parameter.name not in params:
            raise ParameterError(
                dotted,
                "constructor needs a parameter",
                field=parameter.name,
                advice=f"add it to enhance.params, such as -S ++enhance.params.{parameter.name}=...",
            )


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def check_speech_output(output: Any, system: str, *, unit: str | None = None) -> Array:
    """The output of `speech` as float64, shape (n, 2), or an error that names the system.

    Args:
        output: what the system returned.
        system: its dotted name.
        unit: the scene and listener, if they are to be named.

    Raises:
        InputError: the output is not an array of floats, has another shape, is empty, or has a NaN or infinity.

    Examples:
        >>> import numpy as np
        >>> check_speech_output(np.zeros((44100, 2), dtype=np.float32), "my_lab.net:Mine").dtype
        dtype('float64')
        >>> check_speech_output(np.zeros((2, 44100)), "my_lab.net:Mine")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        hearlab.errors.InputError: my_lab.net:Mine.speech: returned the wrong shape...
    """
    return _checked(output, _place(system, "speech", unit))


def check_music_output(
    output: Any, stems: Mapping[str, Array], system: str, *, unit: str | None = None
) -> dict[str, Array]:
    """The output of `music` in float64, in the order of `stems`, or an error that names the system.

    Raises:
        InputError: a stem is missing or unknown, or one is not as in `check_speech_output`, or lengths differ.

    Examples:
        >>> import numpy as np
        >>> stems = {"vocals": np.zeros((100, 2)), "drums": np.zeros((100, 2))}
        >>> list(check_music_output(dict(reversed(stems.items())), stems, "my_lab.net:Mine"))
        ['vocals', 'drums']
    """
    where = _place(system, "music", unit)
    if not isinstance(output, Mapping):
        raise InputError(
            where, "must return a dictionary", found=type(output).__name__, wanted=f"the keys {', '.join(stems)}"
        )
    if set(output) != set(stems):
        raise InputError(
            where, "must return the keys it was given", found=", ".join(map(str, output)), wanted=", ".join(stems)
        )
    checked = {name: _checked(output[name], where, name) for name in stems}
    lengths = {name: samples.shape[0] for name, samples in checked.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(
            where, "stems differ in length", found=", ".join(f"{name} {length}" for name, length in lengths.items())
        )
    return checked


def _place(system: str, method: str, unit: str | None) -> str:
    return f"{system}.{method}" + (f" for {unit}" if unit else "")


def _checked(output: Any, where: str, field: str | None = None) -> Array:
    wanted = "a numpy array of floats, shape (n, 2)"
    if not isinstance(output, np.ndarray):
        tensor = type(output).__module__.partition(".")[0] == "torch"
        raise InputError(
            where,
            "must return an array",
            field=field,
            found=f"{type(output).__module__}.{type(output).__name__}".removeprefix("builtins."),
            wanted=wanted,
            advice="return tensor.detach().cpu().numpy()" if tensor else None,
        )
    if not np.issubdtype(output.dtype, np.floating):
        raise InputError(where, "must return floats", field=field, found=output.dtype, wanted=wanted)
    if output.ndim != 2 or output.shape[1] != 2 or output.shape[0] == 0:
        advice = "transpose it" if output.ndim == 2 and output.shape[0] == 2 else None
        raise InputError(
            where, "returned the wrong shape", field=field, found=output.shape, wanted=wanted, advice=advice
        )
    samples = output.astype(np.float64, copy=False)
    check_signal(samples, f"{where}: {field}" if field else where, silence=True)
    return samples
