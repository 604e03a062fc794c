"""A stage is taken out of dvc.lock, so that DVC runs it again, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

from hearlab.versions.lock import forget_stage, lock_stages

STAGE = """\
  {name}:
    cmd: hearlab stage {name}
    params:
      params.yaml:
        seed: 0
    outs:
    - path: data/{dataset}/inputs/{folder}
      hash: md5
      md5: {md5}.dir
"""


def lock(*stages: tuple[str, str, str]) -> str:
    entries = (
        STAGE.format(name=name, dataset=dataset, folder=folder, md5="a" * 32) for name, dataset, folder in stages
    )
    return "schema: '2.0'\nstages:\n" + "".join(entries)


def test_a_stage_is_forgotten(tmp_path: Path) -> None:
    path, below = tmp_path / "dvc.lock", "data/clarity/inputs/clarity_data"
    assert not forget_stage(tmp_path, "prepare", below)
    others = ("check_params", "clarity", "other"), ("prepare_music", "clarity", "cadenza_data/task1/audio")
    for order in (0, 1, 2):
        stages = list(others)
        stages.insert(order, ("prepare", "clarity", "clarity_data/hrir"))
        path.write_text(lock(*stages))
        assert forget_stage(tmp_path, "prepare", below)
        assert path.read_text() == lock(*others)
        assert not forget_stage(tmp_path, "prepare", below)
    assert list(lock_stages(tmp_path)) == ["check_params", "prepare_music"]


def test_a_stage_of_another_data_set_is_not_forgotten(tmp_path: Path) -> None:
    text = lock(("prepare", "demo", "clarity_data/hrir"))
    (tmp_path / "dvc.lock").write_text(text)
    assert not forget_stage(tmp_path, "prepare", "data/clarity/inputs/clarity_data")
    assert (tmp_path / "dvc.lock").read_text() == text
