"""`make` sets up what it needs: after every cut, with settings of pip, Python and the shell as people have them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from file_server import Site, serving
from make_support import Index, Project, small_project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a whole environment; tests work on copies."""
    project = small_project(tmp_path_factory.mktemp("made") / "project")
    output = project.make("scores")
    project.assert_whole(output)
    return project


def copy(made: Project, folder: Path) -> Project:
    shutil.copytree(made.folder, folder, symlinks=True)
    return Project(folder, made.variables)


def emptied(made: Project, folder: Path) -> Project:
    """With Python and pip, but nothing else in the environment: cut before the first package."""
    project = copy(made, folder)
    (project.folder / ".venv/.installed").unlink()
    for path in (project.packages().parents[2] / "bin/dvc", project.packages().parents[2] / "bin/hearlab"):
        path.unlink()
    for path in project.packages().iterdir():
        if path.name.partition("-")[0] not in ("pip", "setuptools", "pkg_resources"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return project


def cut_in_packages(packages: Path) -> None:
    """As pip leaves them when it is killed: no command, no record, a short file, a missing one."""
    (packages.parents[2] / "bin/dvc").unlink()
    (packages / "dvc-3.60.dist-info/INSTALLER").unlink()
    record = packages / "dvc-3.60.dist-info/RECORD"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(line for line in lines if "INSTALLER" not in line and "bin/" not in line))
    next(packages.glob("torch-*/RECORD")).unlink()
    (packages / "torch/__init__.py").unlink()
    (packages / "numpy/__init__.py").write_text("")
    (packages / "~umpy").mkdir()


def another_minor_version(packages: Path) -> None:
    packages.parent.rename(packages.parent.with_name("python3.10"))


def python_gone(packages: Path) -> None:
    for path in (packages.parents[2] / "bin").glob("python*"):
        path.unlink()
        path.symlink_to("/nowhere/python3")


def no_hearlab(packages: Path) -> None:
    shutil.rmtree(next(packages.glob("hearlab-*.dist-info")))


CUTS: dict[str, Callable[[Path], object]] = {
    "pip without its record": lambda packages: next(packages.glob("pip-*/RECORD")).unlink(),
    "no pyvenv.cfg": lambda packages: (packages.parents[2] / "pyvenv.cfg").unlink(),
    "python leads nowhere": python_gone,
    "in packages": cut_in_packages,
}


@pytest.mark.parametrize("cut", CUTS)
def test_an_environment_that_was_cut_is_made_whole(made: Project, tmp_path: Path, cut: str) -> None:
    project = copy(made, tmp_path / "project")
    (project.folder / ".venv/.installed").unlink()
    CUTS[cut](project.packages())
    project.assert_whole(project.make("scores"))
    assert (
        subprocess.run([project.folder / ".venv/bin/dvc"], capture_output=True, text=True, check=True).stdout
        == "dvc 3.60\n"
    )
    assert "Installing" not in project.make("scores")


@pytest.mark.parametrize("lost", [another_minor_version, no_hearlab])
def test_what_a_finished_environment_lost_is_noticed(
    made: Project, tmp_path: Path, lost: Callable[[Path], None]
) -> None:
    project = copy(made, tmp_path / "project")
    lost(project.packages())
    project.assert_whole(project.make("scores"))


def test_killed_at_any_moment(tmp_path: Path) -> None:
    project = small_project(tmp_path / "project")
    for seconds in (0.2, 1.0, 3.0, 5.0):
        process = subprocess.Popen(
            ("make", "scores", f"PYTHON={sys.executable}"),
            cwd=project.folder,
            env={"PATH": os.environ["PATH"], **project.variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    project.assert_whole(project.make("scores"))


def python_without(folder: Path, *modules: str) -> Path:
    """This Python as Debian splits it: without some modules of the standard library."""
    library = Path(sysconfig.get_path("stdlib"))
    there = folder / "lib" / library.name
    there.mkdir(parents=True)
    for path in library.iterdir():
        if path.name not in (*modules, "site-packages", "__pycache__"):
            (there / path.name).symlink_to(path)
    (there / "site-packages").mkdir()
    (folder / "bin").mkdir()
    program = folder / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy2(Path(sys.executable).resolve(), program)
    return program


def test_without_ensurepip_one_line_names_the_package_and_then_make_works(tmp_path: Path) -> None:
    python = python_without(tmp_path / "bare", "ensurepip")
    project = small_project(tmp_path / "project", PYTHON=os.fspath(python))
    for _ in range(2):
        output = project.make("scores", code=2)
        errors = [line for line in output.splitlines() if line.startswith("error:")]
        assert len(errors) == 1, output
        assert f"python3.{sys.version_info.minor}-venv" in errors[0]
    library = python.parents[1] / "lib" / python.name
    (library / "ensurepip").symlink_to(Path(sysconfig.get_path("stdlib")) / "ensurepip")
    project.assert_whole(project.make("scores"))


def test_without_ensurepip_the_pip_of_the_system_brings_pip(tmp_path: Path) -> None:
    python = python_without(tmp_path / "bare", "ensurepip")
    project = small_project(tmp_path / "project", PYTHON=os.fspath(python))
    bundled = next((Path(sysconfig.get_path("stdlib")) / "ensurepip/_bundled").glob("pip-*.whl"))
    index = Path(project.variables["PIP_INDEX_URL"].removeprefix("file://")) / "pip"
    index.mkdir()
    shutil.copy2(bundled, index)
    (index / "index.html").write_text(f'<a href="{bundled.name}">{bundled.name}</a>')
    shutil.unpack_archive(bundled, python.parents[1] / "lib" / python.name / "site-packages", "zip")
    project.assert_whole(project.make("scores"))


def foreign(folder: Path) -> str:
    """Packages of somebody else, with the names of HearLab's."""
    for name in ("numpy", "dvc", "pip"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("VERSION = 'foreign'\n")
        (folder / f"{name}-2.1.dist-info").mkdir()
        (folder / f"{name}-2.1.dist-info/METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.1\n")
    (folder / "of_ones_own.py").write_text("")
    return os.fspath(folder)


def configuration(path: Path, text: str) -> str:
    path.write_text(text)
    return os.fspath(path)


SETTINGS: dict[str, Callable[[Path, Project], dict[str, str]]] = {
    "pip installs elsewhere": lambda folder, _: {
        "PIP_USER": "1",
        "PIP_TARGET": f"{folder}/target",
        "PIP_PREFIX": f"{folder}/prefix",
        "PIP_ROOT": f"{folder}/root",
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_PYTHON": "/nowhere/python",
    },
    "a pip.conf": lambda folder, project: {
        "PIP_CONFIG_FILE": configuration(
            folder / "pip.conf",
            "[global]\nrequire-virtualenv = true\n[install]\nuser = true\n"
            f"index-url = {project.variables['PIP_INDEX_URL']}\n",
        ),
        "PIP_INDEX_URL": "",
    },
    "an index beside another": lambda folder, project: {
        "PIP_INDEX_URL": Index(folder / "empty").address,
        "PIP_EXTRA_INDEX_URL": project.variables["PIP_INDEX_URL"],
    },
    "another Python and its packages": lambda folder, _: {
        "PYTHONPATH": foreign(folder / "foreign"),
        "PYTHONHOME": "/nowhere",
        "VIRTUAL_ENV": "/nowhere",
        "CONDA_PREFIX": "/nowhere",
        "PYTHONSAFEPATH": "1",
        "PYTHONOPTIMIZE": "2",
    },
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_of_pip_and_python(made: Project, tmp_path: Path, setting: str) -> None:
    project = emptied(made, tmp_path / "a folder's name")
    if "Python" in setting:
        shutil.rmtree(project.folder / ".venv")
    variables = SETTINGS[setting](tmp_path, project)
    project.assert_whole(project.make("scores", **variables))
    left = sorted(path.name for path in tmp_path.iterdir())
    assert not {"target", "prefix", "root", ".local"} & set(left), left
    assert "Installing" not in project.make("scores", **variables)


def test_settings_of_the_shell_and_of_make(made: Project, tmp_path: Path) -> None:
    project = emptied(made, tmp_path / "project")
    before = os.umask(0o077)
    try:
        output = project.make("scores", "help", MAKEFLAGS="-j4 -k", CDPATH=f"{tmp_path}:/usr", LC_ALL="C")
    finally:
        os.umask(before)
    project.assert_whole(output)


def test_a_package_of_ones_own_on_pythonpath_is_found(made: Project, tmp_path: Path) -> None:
    project = copy(made, tmp_path / "project")
    (project.folder / "Makefile").open("a").write(
        'own: $(INSTALLED)\n\t@python -c "import of_ones_own, sys; print(sys.argv)"\n'
    )
    project.make("own", PYTHONPATH=foreign(tmp_path / "foreign"))


def test_an_index_behind_a_proxy(made: Project, tmp_path: Path) -> None:
    project = emptied(made, tmp_path / "project")
    usual = Path(project.variables["PIP_INDEX_URL"].removeprefix("file://"))
    address = "http://packages.invalid/simple"
    files = {
        f"{address}/{path.parent.name}/{path.name.replace('index.html', '')}": path.read_bytes()
        for path in usual.rglob("*.*")
    }
    with serving(Site(files=files, content_type="text/html")) as proxy:
        output = project.make(
            "scores",
            PIP_INDEX_URL=address,
            PIP_TRUSTED_HOST="packages.invalid",
            http_proxy=proxy.address,
            PIP_RETRIES="0",
        )
    project.assert_whole(output)


def torch_of(project: Project, output: str) -> tuple[str, bool]:
    return project.origins(output)["torch"][1], (project.packages() / "nvidia_cublas").is_dir()


def with_gpu(folder: Path) -> str:
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: of a test'\n")
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.skipif(sys.platform != "linux", reason="PyPI's torch brings CUDA on Linux only")
def test_the_build_of_pytorch(made: Project, tmp_path: Path) -> None:
    project = emptied(made, tmp_path / "project")
    if not Path("/proc/driver/nvidia/version").exists() and shutil.which("nvidia-smi") is None:
        output = project.make("scores")
        assert "GB to download, with PyTorch for CPUs" in output
    else:
        output = project.make("scores", "TORCH=cpu")
    assert torch_of(project, output) == ("2.13.0+cpu", False)
    # Asked for, the other build comes, and goes again.
    output = project.make("scores", "TORCH=cuda")
    assert "PyTorch for NVIDIA GPUs" in output
    assert torch_of(project, output) == ("2.13.0", True)
    assert "Installing" not in project.make("scores")
    assert torch_of(project, project.make("scores", "TORCH=cpu"))[0] == "2.13.0+cpu"
    # A new release is of the same build.
    for name in ("pyproject.toml", "constraints.txt", "backend.py"):
        file = project.folder / name
        file.write_text(file.read_text().replace("2.13.0", "2.14.0"))
    assert torch_of(project, project.make("scores"))[0] == "2.14.0+cpu"
    assert "TORCH=gpu: auto, cpu or cuda" in project.make("scores", "TORCH=gpu", code=2)


@pytest.mark.skipif(sys.platform != "linux", reason="PyPI's torch brings CUDA on Linux only")
def test_cuda_comes_where_a_gpu_is_or_nothing_else_can_be_had(made: Project, tmp_path: Path) -> None:
    project = emptied(made, tmp_path / "gpu")
    # A wheel for CPUs that pip finds elsewhere is not what a GPU needs.
    links = f"{project.variables['TORCH_INDEX'].removeprefix('file://')}/torch"
    output = project.make("scores", PATH=with_gpu(tmp_path), PIP_FIND_LINKS=links)
    assert "PyTorch for NVIDIA GPUs" in output
    assert torch_of(project, output) == ("2.13.0", True)

    away = emptied(made, tmp_path / "away")
    away.variables = {**made.variables, "TORCH_INDEX": "http://127.0.0.1:9/whl"}
    output = away.make("scores", "TORCH=cpu", code=2)
    assert "no PyTorch for CPUs from http://127.0.0.1:9/whl" in output
    if not Path("/proc/driver/nvidia/version").exists():
        output = away.make("scores")
        first, second = output.index("PyTorch for CPUs from http://127.0.0.1:9/whl"), output.index("3.2 GB to download")
        assert first < second < output.index("Installing HearLab")
        assert torch_of(away, output) == ("2.13.0", True)
