"""Reading source code: what a function reaches, and what a package is."""
