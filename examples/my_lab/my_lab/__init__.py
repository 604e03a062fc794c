"""An enhancement system for HearLab: a package to copy."""
