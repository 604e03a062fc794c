"""The packages' home: the folder of archives, receipts and unpacked files.

DVC removes and replaces what is in the outputs of a pipeline, without a question where its records do not know them.
So the packages are outside of all outputs, and beside the clone rather than in it, where `git clean` would find them.
Stages prepare and prepare_music link to them.
"""

from __future__ import annotations

import os
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

from hearlab.datasets.layout import DATA
from hearlab.datasets.packages.file_checks import holds_files
from hearlab.errors import InputError
from hearlab.files import MOST_SHORT_YAML, TOO_DEEP, read_text

ENVIRONMENT = "HEARLAB_PACKAGES"
SETTINGS = "hearlab.toml"
KEY = "packages"
BESIDE = "hearlab-packages"  # the folder beside the clone
# The folders of a data set in its home: those of the data roots, and that of archives and receipts.
FOLDERS = ("clarity_data", "cadenza_data", "packages")
EXPERIMENTS = (".dvc", "tmp", "exps")  # where DVC runs `dvc exp run --temp` and queued experiments
ADVICE = f"set {ENVIRONMENT}, or {KEY} in {SETTINGS}, to a folder outside of the repository (docs/full-data.md)"


@dataclass(frozen=True)
class Home:
    """Where the packages of one data set are.

    Attributes:
        folder: holds clarity_data, cadenza_data and packages.
        why: what names it.
        warning: what could delete it, and how to move it; None where nothing does.
    """

    folder: Path
    why: str
    warning: str | None = None

    def __str__(self) -> str:
        return f"{self.folder} ({self.why})"

    def make(self) -> None:
        """Make the folder.

        Raises:
            InputError: it cannot be made, or nothing can be written in it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            problem = None if os.access(self.folder, os.W_OK | os.X_OK) else "no permission to write"
        except OSError as error:
            problem = error.strerror
        if problem:
            raise InputError(self.folder, "packages cannot be stored here", found=problem, advice=ADVICE)


def packages_home(root: Path, dataset: str) -> Home:
    """The home of a data set's packages; it need not exist.

    The first of these: the environment variable HEARLAB_PACKAGES; `packages` in hearlab.toml; the data set's folder in
    the workspace, where packages were put by hand or by an earlier HearLab; a folder beside the repository.

    Raises:
        InputError: hearlab.toml is wrong, or the home is where DVC keeps or replaces files.
    """
    owner = _owner(root)
    data = owner / DATA / dataset
    given, configured = os.environ.get(ENVIRONMENT), _configured(owner / SETTINGS)
    if given:
        folder, why = _path(owner, given, ENVIRONMENT) / dataset, ENVIRONMENT
    elif configured is not None:
        folder, why = configured / dataset, f"{KEY} in {SETTINGS}"
    elif any(holds_files(data / name) for name in FOLDERS):
        folder, why = data, "they were put there"
    else:
        folder, why = _repository(owner).parent / BESIDE / dataset, "beside the clone"
    folder = Path(os.path.abspath(folder))
    replaced = folder.is_relative_to(owner / DATA) and folder != data
    if replaced or any(folder.is_relative_to(owner / name) for name in (".dvc", ".hearlab", ".git")):
        raise InputError(why, "names a folder in which files are replaced and deleted", found=folder, advice=ADVICE)
    return Home(folder, why, _warning(owner, folder, dataset))


def _warning(owner: Path, folder: Path, dataset: str) -> str | None:
    repository = _repository(owner)
    if not folder.is_relative_to(repository):
        return None
    outside = repository.parent / BESIDE / dataset
    moved = shlex.join(str(folder / name) for name in FOLDERS if os.path.lexists(folder / name))
    target = shlex.quote(str(outside))
    advice = f"; `mkdir -p {target} && mv {moved} {target}` moves them out" if moved else ""
    return f"{folder}: the packages are inside of the repository, where `git clean -fdx` deletes them{advice}"


def _owner(root: Path) -> Path:
    """The workspace to which a copy belongs that DVC made for an experiment; any other workspace is its own owner."""
    root = root.resolve()
    parts = root.parts
    for start in range(len(parts) - len(EXPERIMENTS)):
        if parts[start : start + len(EXPERIMENTS)] == EXPERIMENTS:
            return Path(*parts[:start])
    return root


def _repository(owner: Path) -> Path:
    """The top of the git repository: a folder beside a workspace in a larger repository is still in that."""
    return next((folder for folder in (owner, *owner.parents) if (folder / ".git").exists()), owner)


def _configured(path: Path) -> Path | None:
    """The folder that hearlab.toml names."""
    if not os.path.lexists(path):
        return None
    try:
        settings = tomllib.loads(read_text(path, most=MOST_SHORT_YAML))
    except RecursionError:
        raise InputError(path, TOO_DEEP) from None
    except ValueError as error:
        raise InputError(path, "is not valid TOML", found=str(error)) from None
    unknown = next((name for name in settings if name != KEY), None)
    if unknown is not None:
        raise InputError(path, "unknown setting", field=unknown, wanted=KEY)
    return _path(path.parent, settings[KEY], path, KEY) if KEY in settings else None


def _path(base: Path, value: object, where: Path | str, field: str | None = None) -> Path:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InputError(where, "is no path of a folder", field=field, found=value)
    try:
        return base / Path(value).expanduser()
    except RuntimeError as error:
        raise InputError(where, "is no path of a folder", field=field, found=f"{value}: {error}") from None
