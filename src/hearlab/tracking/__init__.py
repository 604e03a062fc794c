"""Every distinct result as one run in MLflow.

`result` says what the result in the workspace is and how it is told from others, `summary`, `figures` and `provenance`
what is kept of it, `records` writes that down beside the workspace, and `store` brings it into MLflow.
"""
