"""A mixed load with failures on a running stack; `python -m app.load` or `make load`."""
