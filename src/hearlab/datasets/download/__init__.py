"""Fetching files over HTTP: resumed where it was cut, retried, verified."""
