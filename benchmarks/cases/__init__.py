"""The cases of ``benchmarks/kernel.py``: each module has ``run(quick)``, which prints a table."""
