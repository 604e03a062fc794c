"""Importing what the networks need: quietly, late, and with one line when it is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from waits import LONGEST


def run(code):
    return subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, timeout=LONGEST)


def test_hearlab_separation_imports_without_torch():
    done = run(
        "import sys; import hearlab.separation, hearlab.separation.training, hearlab.separation.weights;"
        "print([name for name in ('torch', 'torchaudio', 'openunmix') if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "call"),
    [("torch", "require_torch"), ("torchaudio", "require_torchaudio"), ("openunmix", "require_openunmix")],
)
def test_a_missing_package_is_one_line_with_advice(missing, call):
    done = run(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {missing!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from hearlab.errors import InputError\nfrom hearlab.separation import torch_audio\n"
        f"try:\n    torch_audio.{call}()\nexcept InputError as error:\n    print(error)"
    )
    assert done.stdout == f"{missing}: is not installed; pip install 'hearlab[music]'\n", done.stderr


@pytest.mark.slow
def test_the_imports_print_nothing_and_bring_what_is_needed():
    pytest.importorskip("torch", reason="needs hearlab[music]")
    done = run(
        "from hearlab.separation.torch_audio import require_openunmix, require_torchaudio\n"
        "assert require_openunmix().Separator and require_torchaudio().models.hdemucs_high\n"
        "assert require_torchaudio() is require_torchaudio()"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_an_extension_that_can_be_loaded_is_left_alone(tmp_path):
    # A torchaudio whose extension loads: the stand-in must not be in its place.
    package = tmp_path / "torchaudio"
    package.mkdir()
    (package / "__init__.py").write_text("from . import _extension\n")
    (package / "_extension.py").write_text("REAL = True\n")
    done = run(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from hearlab.separation.torch_audio import require_torchaudio\n"
        "print(require_torchaudio()._extension.REAL)"
    )
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.slow
def test_a_torchaudio_that_fails_for_another_reason_says_so(tmp_path):
    package = tmp_path / "torchaudio"
    package.mkdir()
    (package / "__init__.py").write_text("import a_module_that_is_not_there\n")
    done = run(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from hearlab.errors import InputError\nfrom hearlab.separation.torch_audio import require_torchaudio\n"
        "try:\n    require_torchaudio()\nexcept InputError as error:\n    print(error)"
    )
    assert "torchaudio: cannot be imported (found No module named 'a_module_that_is_not_there')" in done.stdout
