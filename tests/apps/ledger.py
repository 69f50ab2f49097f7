"""What became of the tasks that sides published: counted in files that no broker and no worker's end touches."""

from __future__ import annotations

from collections import Counter


class Account:
    """Of one or several sides together."""

    def __init__(self, *sides):
        self.sides = sides

    @property
    def accepted(self):
        return set().union(*(side.accepted() for side in self.sides))

    def count(self, signal):
        """How often each task sent it."""
        return Counter(task for side in self.sides for name, _, task, _ in side.heard() if name == signal)

    @property
    def ended(self):
        return len(self.count("task_postrun"))

    @property
    def lost(self):
        return self.accepted - self.count("task_postrun").keys()

    @property
    def doubled(self):
        return sum(times - 1 for times in self.count("task_postrun").values())

    def settle(self, seconds=90):
        """Wait until every accepted task has ended."""
        self.sides[0].wait(lambda: not self.lost, "all tasks to end", seconds)
