"""The rows of docs/patterns.md that a client can try, each with the step that tries it.

A new row is a function `(Visit) -> str` in `app/smoke/steps/`, which returns what it saw or raises SmokeError, and a
line here. `needs` is an operation of the API, or a field of its body; an app that lacks it has the row skipped.
"""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from app.smoke import quick
from app.smoke.client import SkippedError, SmokeError, Stack
from app.smoke.steps import bills, mails, operation, pictures, posts, schedule, tasks
from app.smoke.visit import Visit


class Step(NamedTuple):
    row: str
    what: str
    walk: Callable[[Visit], str]
    needs: str = ""


ROWS = (
    Step("1", "request, task, database", pictures.answered_at_once),
    Step("2", "task states", tasks.states),
    Step("3", "countdown, eta, expires", posts.at_its_time, "POST /posts publish_at"),
    Step("4", "progress", pictures.progress),
    Step("6", "retry with backoff", mails.tried_again),
    Step("8", "chain, group, chord", pictures.canvas),
    Step("9", "fan-out", posts.heard_by_all, "GET /search"),
    Step("10", "fact check", posts.fact_check, "GET /search"),
    Step("11", "counters", posts.likes, "POST /posts/{post_id}/likes"),
    Step("12", "image pipeline", pictures.pipeline),
    Step("13", "search index", posts.search, "GET /search"),
    Step("14", "e-mail", mails.refused),
    Step("15", "another queue for once", tasks.another_queue),
    Step("16", "workers per queue", operation.workers),
    Step("17", "priorities", tasks.priorities, "POST /faults/{name} priority"),
    Step("18", "schedule", schedule.listed, "GET /schedule"),
    Step("20", "a run by hand", schedule.run_by_hand, "POST /schedule/{entry}/run"),
    Step("22", "charged once", bills.charged_once, "POST /bills/{bill_id}/pay"),
    Step("28", "dead letters", operation.dead_letters),
    Step("29", "metrics", operation.metrics),
    Step("30", "deep health", operation.health),
)


def walk(stack: Stack, photo: bytes, rows: Iterable[str], say: Callable[[str], None]) -> None:
    """Try the rows, one line each. Raises SmokeError, which names the row, at the first that fails."""
    quick.wait_until_up(stack, say)
    visit = Visit(stack, photo)
    for step in ROWS:
        if step.row in rows:
            say(f"row {step.row:<5} {step.what}: {_tried(step, visit)}")


def _tried(step: Step, visit: Visit) -> str:
    if step.needs and step.needs not in visit.operations:
        return f"skipped: this app has no {step.needs}"
    began = time.monotonic()
    try:
        seen = step.walk(visit)
    except SkippedError as reason:
        return f"skipped: {reason}"
    except SmokeError as error:
        raise SmokeError(f"row {step.row}, {step.what}: {error}") from None
    except (LookupError, TypeError, ValueError) as error:  # an answer of another form
        raise SmokeError(f"row {step.row}, {step.what}: an answer lacks what it should have: {error!r}") from error
    return f"{seen} ({time.monotonic() - began:.1f} s)"
