"""The whole app as local processes, with no Docker and no root: `python -m app.dev` or `make dev`."""


class DevError(Exception):
    """`make dev` cannot start. The text says what is wrong, with what value, and what to do."""
