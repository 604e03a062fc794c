"""What people look for in a repository: how to cite it, to build an image of it, to check and to complete it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from hearlab import __version__
from hearlab.commands.extras import EXTRAS, extra_of

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))


def read(name: str) -> Any:
    return yaml.safe_load((REPOSITORY / name).read_text())


def targets() -> set[str]:
    """The Makefile's own targets."""
    return set(re.findall(r"^([a-z][\w-]*):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


def made(command: str) -> list[str]:
    """The targets of `make` in a shell command."""
    calls = re.findall(r"(?:^|&& *|; *)make ([^\n&|;]*)", command, re.MULTILINE)
    return [word for call in calls for word in call.split() if "=" not in word]


def run_lines(dockerfile: str) -> list[str]:
    return re.findall(r"^RUN (.*)$", dockerfile.replace("\\\n", " "), re.MULTILINE)


def test_citation() -> None:
    """The keys that version 1.2.0 of the format requires, and no others than it has."""
    found = read("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= found.keys()
    assert (found["cff-version"], found["version"], found["license"]) == ("1.2.0", __version__, PROJECT["license"])
    assert found["version"] == PROJECT["version"]
    known = {
        "cff-version",
        "message",
        "title",
        "abstract",
        "type",
        "version",
        "license",
        "authors",
        "keywords",
        "references",
    }
    assert found.keys() <= known | {"references"}
    for reference in found["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        assert all({"family-names", "given-names"} == author.keys() for author in reference["authors"])


def test_changelog_has_this_version() -> None:
    assert re.search(rf"^## {re.escape(__version__)}\b", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_image_is_made_by_what_ci_runs() -> None:
    """There may be no Docker: its steps are those of the Makefile, which the workflow runs on a bare machine too."""
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    steps = [target for line in run_lines(dockerfile) for target in made(line)]
    assert steps == ["install"]
    others = [line for line in run_lines(dockerfile) if not made(line)]
    assert [line.split()[0] for line in others] == ["apt-get", "git"]
    ran = [
        target for name in WORKFLOWS for step in all_steps(yaml.safe_load(name.read_text())) for target in made(step)
    ]
    assert set(steps) <= set(ran) <= targets()
    assert {"install", "lint", "test"} <= set(ran)
    assert "docker build -t hearlab ." in dockerfile


def all_steps(workflow: Any) -> list[str]:
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


@pytest.mark.slow
def test_the_image_can_be_made() -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no Docker runs here")
    done = subprocess.run(
        ["docker", "build", "-t", "hearlab-test", "."], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_what_a_pull_request_runs() -> None:
    for name in WORKFLOWS:
        workflow = yaml.safe_load(name.read_text())
        # YAML 1.1 reads `on` as true, and so does this reader.
        assert "pull_request" in workflow[True]
        assert workflow["permissions"]["contents"] == "read"
        for job in workflow["jobs"].values():
            # Each action is named with a version.
            assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)
    demo = "\n".join(all_steps(read(".github/workflows/demo.yml")))
    assert "dvc repro" in demo
    assert "cml comment create comment.md" in demo
    # The shell takes what it is given: each step is one that bash can read.
    for step in all_steps(read(".github/workflows/demo.yml")):
        assert subprocess.run(["bash", "-n", "-c", step]).returncode == 0


def test_hooks_call_what_is_there() -> None:
    (local,) = read(".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    commands = {hook["id"]: hook["entry"].split() for hook in local["hooks"]}
    assert commands.keys() == {"ruff-format", "ruff", "house", "mypy"}
    dev = PROJECT["optional-dependencies"]["dev"]
    for command in commands.values():
        assert command[0].startswith(".venv/bin/")
        tool = command[0].removeprefix(".venv/bin/")
        assert tool == "python" or any(re.match(rf"{tool}\b", wanted) for wanted in dev)
    assert (REPOSITORY / commands["house"][1]).is_file()


def test_versions_of_python() -> None:
    prefix = "Programming Language :: Python :: 3."
    named = [int(line.removeprefix(prefix)) for line in PROJECT["classifiers"] if line.startswith(prefix)]
    assert named == list(range(11, 15))
    assert PROJECT["requires-python"] == f">=3.{named[0]}"
    wheel = next(job for job in read(".github/workflows/tests.yml")["jobs"].values() if "test_wheel.py" in str(job))
    assert all(f"3.{minor}" in str(wheel) for minor in named)


def test_extras_bring_what_they_are_said_to() -> None:
    for extra, libraries in EXTRAS.items():
        wanted = " ".join(PROJECT["optional-dependencies"][extra]).replace("-", "_")
        brought = {"PIL": "pillow", "sqlalchemy": "mlflow", "scmrepo": "dvc", "hydra": "dvc", "omegaconf": "dvc"}
        for library in libraries:
            name = brought.get(library, library)
            assert re.search(rf"\b{name}", wanted) or (name.startswith("dvc_") and "dvc>" in wanted)
    assert extra_of(ModuleNotFoundError(name="dvc.repo")) == ("dvc", "pipeline")
    assert extra_of(ModuleNotFoundError(name="torch")) == ("torch", "music")
    assert extra_of(ModuleNotFoundError(name="hearlab.nothing")) is None
    assert extra_of(ImportError("cannot import name 'x'")) is None


@pytest.mark.parametrize(
    ("library", "extra", "command"),
    [("dvc", "pipeline", ["plan"]), ("dvc", "pipeline", ["sweep", "-S", "enhance.gain=1,2"])],
)
def test_a_missing_library_is_one_line_with_its_extra(library: str, extra: str, command: list[str]) -> None:
    """Python is told that the library is not there."""
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {library!r}:\n"
        f"            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        f"from hearlab.cli import main\nsys.exit(main({command!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"pip install 'hearlab[{extra}]'" in line


def test_completion_of_the_shell() -> None:
    program = """
    eval "$({python} -m hearlab.cli completion bash)"
    complete_words() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_hearlab; echo "${{COMPREPLY[@]}}"; }}
    complete_words hearlab exp
    complete_words hearlab compare --lat
    complete_words hearlab compare --condition un
    """
    done = subprocess.run(
        ["bash", "-c", program.format(python=sys.executable)], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["experiments", "--latex", "unprocessed"], done.stderr
