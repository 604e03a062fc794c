"""Which extra of the package brings a library that is missing: `pip install hearlab` alone has the metrics, not DVC."""

from __future__ import annotations

import importlib.util

EXTRAS = {
    "pipeline": (
        *("dvc", "dvc_data", "dvc_objects", "dvc_render", "scmrepo", "hydra", "omegaconf"),
        *("ray", "mlflow", "sqlalchemy", "psutil", "plotly", "matplotlib", "PIL", "jinja2", "pandas", "optuna"),
    ),
    "music": ("torch", "torchaudio", "openunmix"),
    "remotes": ("dvc_ssh", "dvc_s3", "dvc_webdav"),
    "postgresql": ("psycopg2",),
}


def extra_of(error: ImportError) -> tuple[str, str] | None:
    """The library that is not installed and the extra that has it; None if it is none of an extra's."""
    library = (error.name or "").partition(".")[0]
    return next(((library, extra) for extra, libraries in EXTRAS.items() if library in libraries), None)


def is_installed(library: str) -> bool:
    """Whether a library can be imported; it is not."""
    try:
        return importlib.util.find_spec(library) is not None
    except (ImportError, ValueError):
        return False
