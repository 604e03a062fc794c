"""Every distinct result as one run in MLflow.

`result` finds the result in the workspace and its identity; `summary`, `figures` and `provenance` make what is kept of
it; `records` writes that down beside the workspace, and `store` brings it into MLflow.
"""
