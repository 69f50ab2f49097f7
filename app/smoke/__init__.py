"""A running stack, tried step by step; `python -m app.smoke` or `make smoke`."""
