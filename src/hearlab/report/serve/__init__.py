"""The listening site on a server of this machine, and the answers of its blind tests."""
