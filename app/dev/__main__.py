"""Runs the app on SQLite as processes in one terminal: API, a worker per queue, Beat, Redis, the stand-ins.

Everything that it writes is in `.dev/` (DEV_STATE_DIR) and is there again at the next start. Ctrl-C ends all.
Ports: API_PORT (8000), MAIL_HTTP_PORT (8025), MAIL_SMTP_PORT (1025), AI_PORT (8080).

Exit code 0: ended by Ctrl-C or SIGTERM. 1: one process ended by itself, and all with it. 2: it cannot start.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from app.dev import DevError
from app.dev.plan import ROOT, Plan, make_plan
from app.dev.processes import Processes


def main() -> int:
    try:
        plan = make_plan(os.environ)
        with alone_in(plan.state):
            plan.write_redis_files()
            migrate(plan)
            return run(plan)
    except DevError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before anything was started
        return 0


@contextlib.contextmanager
def alone_in(state: Path) -> Iterator[None]:
    """Keeps a second `make dev` out of the same folder. Raises DevError when there is one.

    The lock is on a file; the system lifts it when its holder ends, however that happens.
    """
    with (state / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise DevError(
                f"{state} is in use by another `make dev`, process {file.read()}.\n"
                "  End that one, or give this one a folder of its own: DEV_STATE_DIR=/tmp/other make dev"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def migrate(plan: Plan) -> None:
    """Brings the database to the newest schema. Raises DevError when that fails; its reason was printed."""
    done = subprocess.run([sys.executable, "-m", "app.migrate"], cwd=ROOT, env=plan.environ, check=False)
    if done.returncode:
        raise DevError(
            f"The database in {plan.state} could not be prepared; the lines above say why.\n"
            f"  If its data may go: rm -r {plan.state}"
        )


def run(plan: Plan) -> int:
    """Runs all processes until one ends or a signal comes; returns the exit code."""
    processes = Processes(plan)
    try:
        processes.loop()
    finally:
        processes.kill()  # nothing is left to kill, unless the loop itself failed
    if processes.asked_to_end:
        return 0
    print(f"{processes.ended[0]} ended by itself, so all were ended. Its last lines say why.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
