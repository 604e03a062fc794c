"""Fetching files: sources, ranges, retries, checksums and the journal of a download that goes on where it stopped."""
