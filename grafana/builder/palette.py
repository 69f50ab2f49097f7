"""Colours that the colour-blind tell apart, and that read on a dark and on a light page.

Okabe and Ito's (https://jfly.uni-koeln.de/color/), without yellow and black, which vanish on one of the pages. The
first four have a contrast above 3:1 on both, orange and sky blue 2.3:1 on white: lines are 2 px wide, and every legend,
tile and cell has its name or number, so that no meaning hangs on a colour alone. Nothing is told by red against green.
"""

from __future__ import annotations

from celery_runtime.dead_letters import REASONS as WHY_DEAD
from celery_runtime.metrics import CHILD_ENDS, OUTCOMES, STATES
from celery_runtime.queues import load_queues
from deploy.rendering import ROOT

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY = "#E69F00", "#56B4E9"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
WELL, WARNING, CRITICAL = BLUE, ORANGE, VERMILION
SEVERITIES = {"warning": WARNING, "critical": CRITICAL}


def in_order(names: tuple[str, ...]) -> dict[str, str]:
    """A colour for each name; they come again after the sixth, and then `panels` makes the lines dashed."""
    return {name: SERIES[place % len(SERIES)] for place, name in enumerate(names)}


# The worker that serves a queue has its name, and so its colour.
QUEUES = in_order(tuple(load_queues(ROOT / "queues.toml")))
ENDS = in_order(OUTCOMES)
CHILDREN = in_order(CHILD_ENDS)
PHASES = in_order(STATES)
REASONS = in_order(WHY_DEAD)
