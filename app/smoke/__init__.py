"""One real picture through a running stack, step by step; `python -m app.smoke` or `make smoke`."""
