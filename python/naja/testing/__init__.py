"""Runs a project's own pytest in parallel: what `naja test` brings into the test process, and what `pytest -n` uses.

One process imports and collects; workers are forked from it. Nothing here needs the rest of the package `naja`: the
program carries these files and puts them before a pytest of any environment. Start at `plugin.py`; `controller.py` is
the collecting process, `worker.py` what runs in a worker.
"""
