"""The ways of the language to reach code: an own system's identity covers each, HearLab's rule sees or refuses it."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from source_rules import unseen

import hearlab
from hearlab.compute.code.definitions import Reached
from hearlab.compute.code_identity import code_of
from hearlab.errors import InputError

SYSTEM = "class System:\n    def speech(self):\n        return {}\n"
GAIN = "GAIN = 1.0\n"
DSP = "def gain():\n    return 1.0\n"


def way(imports: str, value: str, **others: str) -> dict[str, str]:
    """A package `lab` whose module `net` has the system; other files by name, with `__` for a slash."""
    files = {f"{name.replace('__', '/').strip('/')}.py": text for name, text in others.items()}
    return {"lab/__init__.py": "", "lab/net.py": f"{imports}\n{SYSTEM.format(value)}", **files}


# Each has one place with 1.0, which is changed.
WAYS: dict[str, dict[str, str]] = {
    "a constant of the module": way(GAIN, "GAIN"),
    "a function of another module": way("from lab.dsp import gain", "gain()", lab__dsp=DSP),
    "a relative import": way("from .dsp import gain", "gain()", lab__dsp=DSP),
    "a submodule from its package": way("from lab import dsp", "dsp.gain()", lab__dsp=DSP),
    "import P.dsp": way("import lab.dsp", "lab.dsp.gain()", lab__dsp=DSP),
    "import P.deep.dsp": way("import lab.deep.dsp", "lab.deep.dsp.gain()", lab__deep__dsp=DSP),
    "import P.dsp as d": way("import lab.dsp as d", "d.gain()", lab__dsp=DSP),
    "a star import": way("from lab.dsp import *", "gain()", lab__dsp=DSP),
    "a star of a star": way("from lab.more import *", "gain()", lab__more="from lab.dsp import *", lab__dsp=DSP),
    "an alias of a function": way("from lab.dsp import gain\nlouder = gain", "louder()", lab__dsp=DSP),
    "an alias of a module": way("import lab.dsp\nd = lab.dsp", "d.gain()", lab__dsp=DSP),
    "a module as an argument": way("import lab.dsp\ndef run(m):\n    return m.gain()", "run(lab.dsp)", lab__dsp=DSP),
    "getattr of a module": way("from lab import dsp", "getattr(dsp, 'ga' + 'in')()", lab__dsp=DSP),
    "a name of the package": {**way("import lab", "lab.GAIN"), "lab/__init__.py": GAIN},
    "re-exported by the package": {
        **way("import lab", "lab.gain()", lab__dsp=DSP),
        "lab/__init__.py": "from .dsp import *",
    },
    "re-exported under another name": {
        **way("from lab import g", "g()", lab__dsp=DSP),
        "lab/__init__.py": "from lab.dsp import gain as g",
    },
    "shadowing a module's name": {
        **way("from lab import dsp", "dsp()", lab__dsp="x = 0", lab__other="def dsp():\n    return 1.0\n"),
        "lab/__init__.py": "from lab.other import dsp",
    },
    "the package's __getattr__": {
        **way("import lab", "lab.anything"),
        "lab/__init__.py": "def __getattr__(name):\n    return 1.0\n",
    },
    "an import inside a function": way("", "__import__('lab.dsp').dsp.gain()", lab__dsp=DSP),
    "an import in a function": way("def f():\n    from lab.dsp import gain\n    return gain()", "f()", lab__dsp=DSP),
    "a global import in a function": way(
        "def load():\n    global dsp\n    import lab.dsp as dsp\nload()", "dsp.gain()", lab__dsp=DSP
    ),
    "one import or another": way(
        "try:\n    from lab.fast import gain\nexcept ImportError:\n    from lab.dsp import gain", "gain()", lab__dsp=DSP
    ),
    "a table filled afterwards": way("TABLE = {}\nTABLE['gain'] = 1.0", "TABLE['gain']"),
    "a table updated": way("TABLE = {}\nTABLE.update(gain=1.0)", "TABLE['gain']"),
    "a table filled in a loop": way("TABLE = {}\nfor k in range(3):\n    TABLE[k] = 1.0", "TABLE[0]"),
    "a table filled by a function": way("TABLE = {}\ndef fill(x):\n    TABLE['a'] = x\nfill(1.0)", "TABLE['a']"),
    "an attribute set after the class": way("class A:\n    pass\nA.gain = 1.0", "A.gain"),
    "setattr after the class": way("class A:\n    pass\nsetattr(A, 'gain', 1.0)", "A.gain"),
    "a decorator that registers": way(
        "TABLE = {}\ndef register(f):\n    TABLE['gain'] = f\n@register\ndef gain():\n    return 1.0", "TABLE['gain']()"
    ),
    "a decorator in another module": way(
        "import lab.dsp\nfrom lab.table import TABLE",
        "TABLE['gain']()",
        lab__table="TABLE = {}\ndef register(f):\n    TABLE['gain'] = f\n",
        lab__dsp="from lab.table import register\n@register\ndef gain():\n    return 1.0\n",
    ),
    "singledispatch": way(
        "from functools import singledispatch\n@singledispatch\ndef gain(x):\n    return 0\n"
        "@gain.register(int)\ndef _(x):\n    return 1.0",
        "gain(1)",
    ),
    "a monkeypatch": way(
        "import lab.patch\nfrom lab.dsp import gain",
        "gain()",
        lab__dsp="def gain():\n    return 0\n",
        lab__patch="import lab.dsp\nlab.dsp.gain = lambda: 1.0\n",
    ),
    "a global set by a function": way("GAIN = 0\ndef load():\n    global GAIN\n    GAIN = 1.0\nload()", "GAIN"),
    "globals()": way("globals()['GAIN'] = 1.0", "GAIN"),
    "a base class": way(
        "from lab.dsp import Base\nclass A(Base):\n    pass", "A.gain", lab__dsp="class Base:\n    gain = 1.0\n"
    ),
    "a metaclass": way(
        "from lab.dsp import Meta\nclass A(metaclass=Meta):\n    pass",
        "A.gain",
        lab__dsp="class Meta(type):\n    gain = 1.0\n",
    ),
    "a base class that knows its heirs": way(
        "import lab.dsp\nfrom lab.base import Base",
        "Base.heirs[0].gain",
        lab__base="class Base:\n    heirs = []\n    def __init_subclass__(cls):\n        Base.heirs.append(cls)\n",
        lab__dsp="from lab.base import Base\nclass A(Base):\n    gain = 1.0\n",
    ),
    "a default argument": way("from lab.dsp import GAIN\ndef f(g=GAIN):\n    return g", "f()", lab__dsp=GAIN),
    "importlib": way("import importlib", "importlib.import_module('lab.dsp').gain()", lab__dsp=DSP),
    "importlib of a name made at run time": way(
        "import importlib", "importlib.import_module('lab.' + 'dsp').gain()", lab__dsp=DSP
    ),
    "exec": way("exec('GAIN = 1.0')", "GAIN"),
    "sys.modules": way("import sys, lab.dsp\nsys.modules['fast'] = lab.dsp", "__import__('fast').gain()", lab__dsp=DSP),
    "a data file": {
        **way("import json\nfrom pathlib import Path", "json.loads(Path(__file__).with_name('gain.json').read_text())"),
        "lab/gain.json": "1.0",
    },
    "a data file found by a pattern": {
        **way("from pathlib import Path", "next(Path(__file__).parent.glob('*.txt')).read_text()"),
        "lab/gain.txt": "1.0",
    },
    "a data file deeper down": {
        **way("from pathlib import Path", "(Path(__file__).parent / 'a' / 'b.bin').read_bytes()"),
        "lab/a/b.bin": "1.0",
    },
    "another name of a library": way("from math import floor as f\nx = 1.0", "f(x)"),
}
OUTSIDE = {
    "a sibling module": way("import helpers", "helpers.gain()", helpers=DSP),
    "a sibling package, by a chain": way(
        "import helpers.dsp", "helpers.dsp.gain()", helpers__dsp=DSP, helpers____init__=""
    ),
    "a sibling of a sibling": way("import helpers", "helpers.gain()", helpers="from more import gain", more=DSP),
    "a sibling in a function": way("def f():\n    import helpers\n    return helpers.gain()", "f()", helpers=DSP),
    "a sibling by importlib": way("import importlib", "importlib.import_module('helpers').gain()", helpers=DSP),
    "a sibling named in a text": way("NAME = 'helpers.dsp:gain'", "load(NAME)", helpers__dsp=DSP),
    "a namespace package's portion": way("from helpers.dsp import gain", "gain()", helpers__dsp=DSP),
    "a sibling's data file": {**way("import helpers", "helpers.x", helpers="x = open('gain.txt')"), "gain.txt": "1.0"},
    "a sibling's data in a folder": {
        **way("import helpers", "helpers.x", helpers="x = Path(__file__).parent / 'weights' / 'gain.txt'"),
        "weights/gain.txt": "1.0",
    },
}


Write = Callable[[dict[str, str]], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    monkeypatch.syspath_prepend(tmp_path)

    def files(named: dict[str, str]) -> None:
        for name, text in named.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    return files


def own() -> str:
    return code_of(None, ("lab.net:System",)).identity


def fine() -> list[str]:
    reached = Reached({"lab"})
    reached.add([("lab.net", "System")])
    return list(reached.lines())


@pytest.mark.slow
@pytest.mark.parametrize("name", [*WAYS, *OUTSIDE])
def test_every_way_changes_an_own_system_s_identity(write: Write, tmp_path: Path, name: str) -> None:
    files = {**WAYS, **OUTSIDE}[name]
    write(files)
    before, seen = own(), fine()
    assert own() == before
    (place,) = (place for place, text in files.items() if "1.0" in text)
    write({place: files[place].replace("1.0", "0.5")})
    assert own() != before
    if name in WAYS:
        refused = [line for file in files if file.endswith(".py") for line in unseen(tmp_path / file)]
        assert fine() != seen or refused
    write(files)
    assert own() == before


def test_of_an_installed_distribution_name_and_version_count(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(installed)
    library = {"site-packages/filters/__init__.py": GAIN, "site-packages/loose_module.py": GAIN}
    write(way("import filters, loose_module", "filters.GAIN * loose_module.GAIN") | library)

    def install(name: str, version: str) -> None:
        for folder in installed.glob("*.dist-info"):
            shutil.rmtree(folder)
        info = f"site-packages/{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        write({f"{info}/METADATA": metadata, f"{info}/RECORD": "filters/__init__.py,,\n"})

    install("filters", "1.0")
    first = own()
    write({"site-packages/filters/more.py": "x = 1"})  # such as what a build leaves: the version speaks for all of it
    assert own() == first
    install("filters", "1.1")
    assert own() != first
    install("other-filters", "1.0")
    assert own() != first
    install("filters", "1.0")
    assert own() == first
    write({"site-packages/loose_module.py": "GAIN = 0.5"})  # no distribution says what it is: its bytes count
    assert own() != first


OBJECTS = {
    "the package": "import hearlab\nh = hearlab",
    "a module of it": "import hearlab.fitting as f",
    "a module, from its package": "from hearlab import fitting",
    "a relative name": "import importlib\nf = importlib.import_module('.fitting.nalr', 'hearlab')",
    "a name that is put together": "import importlib\nf = importlib.import_module('hearlab.' + 'fitting')",
    "the loader under another name": "from importlib import import_module as load\nf = load('hearlab.fitting')",
    "the loader as an object": "import importlib\nload = importlib.import_module",
    "a path": "from importlib.util import spec_from_file_location as load",
}


@pytest.mark.slow
@pytest.mark.parametrize("way_", OBJECTS)
def test_with_hearlab_as_an_object_all_of_it_counts(write: Write, way_: str) -> None:
    write(way(OBJECTS[way_], "1.0"))
    files = code_of(None, ("lab.net:System",)).own
    assert {"nalr.py", "listeners.py", "cli.py"} <= {Path(path).name for path in files}


def test_of_what_is_named_in_hearlab_the_definitions_count(write: Write) -> None:
    write(way("import importlib.util\nfrom hearlab.fitting import NalR\nfrom os import path", "NalR()"))
    code = code_of(None, ("lab.net:System",))
    assert {Path(path).name for path in code.own} == {"net.py", "__init__.py"}
    assert "nalr.py" in {Path(path).name for path in code.files}


@pytest.mark.slow
def test_a_package_in_two_folders(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace package: each portion has its place, and one of them may be installed."""
    for name in ("one", "two"):
        monkeypatch.syspath_prepend(tmp_path / name)
    files = {"lab/net.py": f"import my_tools.a\n{SYSTEM.format(1)}"}
    write({**files, "one/my_tools/a.py": "A = 1\n", "two/my_tools/a.py": "A = 2\n"})
    first = own()
    write({"one/my_tools/a.py": "A = 2\n", "two/my_tools/a.py": "A = 1\n"})
    assert own() != first
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    info = "site-packages/my_tools_base-1.0.dist-info"
    write({"site-packages/my_tools/base.py": "B = 1\n", f"{info}/RECORD": "my_tools/base.py,,\n"})
    write({f"{info}/METADATA": "Metadata-Version: 2.1\nName: my_tools_base\nVersion: 1.0\n"})
    local = {path for path in code_of(None, ("lab.net:System",)).own if "my_tools" in path}
    assert local == {str(tmp_path / name / "my_tools" / "a.py") for name in ("one", "two")}


@pytest.mark.slow
def test_what_a_package_may_hold_besides_code(write: Write, tmp_path: Path) -> None:
    write(way("", "open('taps+1, (a).txt')"))
    first = own()
    others = (".net.py.swp", "net.py~", "#net.py#", "4913", "__pycache__/net.nbi", "venv/pyvenv.cfg", "venv/lib/big.py")
    write({f"lab/{name}": "x" for name in others})
    assert own() == first
    with (tmp_path / "lab" / "weights.bin").open("wb") as file:
        file.truncate(300_000_000)  # a hole; read in pieces
    tracemalloc.start()
    try:
        assert own() != first
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_a_workspace_in_the_package_is_refused(write: Write, tmp_path: Path) -> None:
    """What a run writes would change the code that it runs."""
    write({**way("", "1.0"), "place/dvc.yaml": "", "place/data/x.wav": ""})
    own()
    (tmp_path / "lab" / "sounds").symlink_to(tmp_path / "place" / "data")
    with pytest.raises(InputError, match=r"lab/sounds: is in a package of your own.*found a link to .*/place/data"):
        own()
    (tmp_path / "lab" / "sounds").unlink()
    write({"lab/inner/dvc.yaml": ""})
    with pytest.raises(InputError, match=r"lab/inner: is in a package of your own.*found dvc.yaml"):
        own()


def test_files_beside_a_module_have_any_name(write: Write) -> None:
    write({"alone.py": SYSTEM.format("open('taps+1, (a).txt')"), "taps+1, (a).txt": "1.0"})
    first = code_of(None, ("alone:System",)).identity
    write({"taps+1, (a).txt": "0.5"})
    assert code_of(None, ("alone:System",)).identity != first


def test_another_library_s_name_changes_what_is_followed(write: Write) -> None:
    write(way("from math import floor as f", "f(1)"))
    before = fine()
    write(way("from math import ceil as f", "f(1)"))
    assert fine() != before


# Why each module may do what the follower cannot see.
REASONS = {
    "hearlab.__init__ loads by name": "what users ask for, which no unit runs",
    "hearlab.lab.fixed loads by name": "functions of units, in the process of a trial",
    "hearlab.lab.watch loads by name": "finds, and loads nothing",
    "hearlab.cli effect": "the command",
    "hearlab.sweep.worker effect": "a program of its own, which runs DVC",
    "hearlab.sweep.constructors effect": "a program of its own, which makes systems and runs no unit",
    "hearlab.commands.extras loads by name": "finds, and loads nothing",
    "hearlab.commands.__init__ loads by name": "the commands, none of which a unit runs",
    "hearlab.versions.launcher effect": "the command in another environment",
    "hearlab.kernels.numba_start effect": "an import of a library",
    "hearlab.kernels.simd effect": "Numba's tables of types: filled and used with this module's own types",
    **dict.fromkeys(
        (
            "hearlab.learning.batch effect",
            "hearlab.learning.compiled effect",
            "hearlab.learning.hair_cells effect",
            "hearlab.learning.tiles effect",
        ),
        "PyTorch's operators: each class is given one for its backward pass, made of itself",
    ),
    "hearlab.named loads by name": "what Unit.code names",
    "hearlab.scoring.tracks loads by name": "what Unit.code names",
    "hearlab.stages.score_speech loads by name": "what Unit.code names",
    "hearlab.stages.separate_music loads by name": "what Unit.code names",
    "hearlab.systems.base loads by name": "what Unit.code names",
    "hearlab.separation.loading loads by name": "gives the name that Unit.code names",
    "hearlab.separation.weights loads by name": "the downloads; a unit's key holds the weights' contents",
    "hearlab.stages.__init__ loads by name": "the stage itself, whose functions are looked at by it",
    "hearlab.networks.library loads by name": "libraries",
    "hearlab.stages.learn.fit_music loads by name": "gives the name that Unit.code names",
    "hearlab.training.launch loads by name": "a function of the unit that starts it",
    "hearlab.separation.torch_audio changes what is imported": "a library that cannot be loaded whole",
    "hearlab.compute.code.definitions loads by name": "finds, and loads nothing",
    "hearlab.compute.code.own_code loads by name": "finds, and loads nothing",
    "hearlab.compute.code.definitions files by computed names": "the data folder",
    "hearlab.compute.code.bytecode compile": "to compare it with what was compiled before; it is not run",
    "hearlab.stages.system files by computed names": "the code that hashes a system's code, by its stamps",
    "hearlab.compute.code_identity files by computed names": "the code that follows definitions, by its stamps",
    "hearlab.kernels.compiled files by computed names": "sources, to compile them again when they have changed",
    "hearlab.datasets.packages.catalogue files by computed names": "the table of downloads, each with its checksum",
    "hearlab.source files by computed names": "where the source is",
    "hearlab.cli changes what is imported": "the stream of a command that was started without one",
    "hearlab.compute.workers.worker changes what is imported": "the path of the driver, before any unit is loaded",
    "hearlab.compute.workers.worker loads by name": "the module of the units' functions, before these come",
    "hearlab.compute.workers.worker effect": "begins to serve, where it is the program",
    "hearlab.compute.ray.connection changes what is imported": "a switch of Ray",
    "hearlab.compute.process changes what is imported": "what Python does with an interruption that it cannot pass on",
    "hearlab.progress changes what is imported": "the progress line",
    "hearlab.scenes.pcm16 changes what is imported": "numpy.add",
}
# No unit and no stage computes with these.
REPORTS = ("hearlab.report.", "hearlab.tracking.", "hearlab.versions.dvc")


@pytest.mark.slow
def test_hearlab_is_written_so_that_everything_can_be_followed() -> None:
    root = Path(hearlab.__file__).parent.parent
    found = set()
    for path in sorted((root / "hearlab").rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        if not module.startswith(REPORTS):
            found |= {f"{module} {line.partition(':')[0]}": line for line in unseen(path)}.items()
    assert {what: line for what, line in found if what not in REASONS} == {}
    assert set(REASONS) <= {what for what, _ in found}  # none is out of date


@pytest.mark.parametrize(
    "source",
    [
        "from os.path import *",
        "register('x', 1)",
        "@app.route('/')\ndef f(): pass",
        "import other\nother.x = 1",
        "import other\ndef f():\n    other.TABLE['x'] = 1",
        "import other\ndef f():\n    other.TABLE.append(1)",
        "def f(a):\n    setattr(a, 'x', 1)",
        "import importlib\ndef f(a):\n    return importlib.import_module(a)",
        "def f(a):\n    return __import__(a)",
        "def f(a):\n    exec(a)",
        "def f(a):\n    return eval(a)",
        "def f():\n    return globals()",
        "class A:\n    def __init_subclass__(cls): pass",
        "class A(metaclass=B): pass",
        "import sys\nsys.modules['x'] = 1",
        "from pathlib import Path\ndef f(a):\n    return Path(__file__).with_name(a).read_text()",
        "from importlib import resources\ndef f(a):\n    return resources.files('hearlab').joinpath(a).read_text()",
    ],
)
def test_what_cannot_be_followed_is_refused(tmp_path: Path, source: str) -> None:
    assert list(unseen(tmp_path / "module.py", source))
