"""Measures what a wipe costs: `python -m tests.bench` (run it on an idle machine)."""
