"""Files: atomic writes; text, JSON, YAML and CSV read within bounds, with errors that name the place; md5."""

from hearlab.files.reading import (
    MOST_BYTES,
    TOO_DEEP,
    check_count,
    check_merged,
    csv_records,
    md5_of,
    md5_of_bytes,
    parse_csv,
    parse_json,
    read_bytes,
    read_json,
    read_text,
)
from hearlab.files.writing import atomic_path, remove_left_over, synced_later, write_json, write_text
from hearlab.files.yaml_files import MOST_SHORT_YAML, MOST_YAML, parse_yaml, read_yaml

__all__ = [
    "MOST_BYTES",
    "MOST_SHORT_YAML",
    "MOST_YAML",
    "TOO_DEEP",
    "atomic_path",
    "check_count",
    "check_merged",
    "csv_records",
    "md5_of",
    "md5_of_bytes",
    "parse_csv",
    "parse_json",
    "parse_yaml",
    "read_bytes",
    "read_json",
    "read_text",
    "read_yaml",
    "remove_left_over",
    "synced_later",
    "write_json",
    "write_text",
]
