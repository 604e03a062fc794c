"""MLflow's own client, as HearLab sets it up, and whether a tracking server answers to it."""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from typing import Any

# For MLflow, whatever the user has set: nothing is sent to its makers, and nothing is printed between HearLab's lines.
FORCED = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
# Unless the user has set them: no messages, and a server that fails is found out in seconds (the result is kept and
# logged later). MLflow's own patience is 120 s and 7 attempts.
DEFAULTS = {
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
ALIVE, ANSWERS = "/health", "/api/2.0/mlflow/experiments/search?max_results=1"


def load_mlflow(module: str) -> Any:
    """Import a part of MLflow, which takes seconds, with its messages and its telemetry off."""
    os.environ.update({**DEFAULTS, **os.environ, **FORCED})
    loaded = importlib.import_module(module)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Who sets MLFLOW_TRACKING_INSECURE_TLS knows; the requests library would say it for each request.
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")
    return loaded


def server_problem(address: str, seconds: float, *, healthy: bool = False) -> str | None:
    """Why MLflow's client reaches no server at an address, or none that is `healthy`; None if it does.

    The client goes by the user's variables for logins, certificates and proxies. Its own attempts go on for minutes.

    Raises:
        ImportError: MLflow is not installed.
    """
    rest, credentials = load_mlflow("mlflow.utils.rest_utils"), load_mlflow("mlflow.utils.credentials")
    options: dict[str, Any] = {"max_retries": 0, "timeout": seconds, "raise_on_status": False}
    # One connection for each question: the server may be closing the last one just now, and nothing is tried again.
    options["extra_headers"] = {"Connection": "close"}
    try:
        creds = credentials.get_default_host_creds(address)
        answer = rest.http_request(creds, ANSWERS if healthy else ALIVE, "GET", **options)
    except Exception as error:  # of MLflow, requests, ssl
        return first_cause(error)
    return f"answers {answer.status_code}" if healthy and answer.status_code >= 400 else None


def first_cause(error: BaseException) -> str:
    """What went wrong first, without the layers that have passed it on."""
    layers: list[BaseException] = []
    below: BaseException | None = error
    while below is not None and below not in layers:
        layers.append(below)
        inner = (one for one in below.args if isinstance(one, BaseException))
        below = below.__cause__ or below.__context__ or next(inner, None)
    text = " ".join(str(layers[-1]).split()) or type(layers[-1]).__name__
    return f"the proxy: {text}" if any(type(one).__name__ == "ProxyError" for one in layers) else text
