"""Tasks by themselves: what is known of them, and where they run."""

from uuid import uuid4

from app.smoke.client import SmokeError, expect
from app.smoke.visit import Visit

TASKS, MANY = 20, 500
QUEUE = "ai"


def states(visit: Visit) -> str:
    expect(visit.stack.ask("GET", f"/tasks/{uuid4()}"), 404)
    ended, failed = visit.picture.states[-1], visit.damaged.states[-1]
    if ended["state"] != "SUCCESS":
        raise SmokeError(f"the picture's task ended as {ended['state']}: {ended['error']}\n  See `make logs`.")
    if failed["state"] != "FAILURE" or "Traceback" in str(failed["error"]):
        raise SmokeError(f"a damaged picture's task says {failed}, expected FAILURE with a readable error.")
    names = dict.fromkeys(status["state"] for status in visit.picture.states)
    return f"{', '.join(names)}; FAILURE: {failed['error']}; an unknown id is 404"


def priorities(visit: Visit) -> str:
    """Both batches are in one queue; the second one may only be seen to overtake where the first is long enough."""
    low = visit.start("count", count=MANY, priority="low")
    visit.ledger("count", count=TASKS)
    left = MANY - visit.stack.read(low)["ended"]
    return f"{TASKS} tasks went ahead of {left} of {MANY} that are not urgent"


def another_queue(visit: Visit) -> str:
    visit.ledger("count", count=TASKS, queue=QUEUE)
    return f"{TASKS} tasks of the default queue through {QUEUE}, lost 0, doubled 0"
