"""Count what the Python files of an environment hold; knows Dask and no orchestrator."""
