"""Ask the workers what they do, and tell them to do otherwise: `celery-runtime workers`, `revoke`, `rate` and others.

Celery's own remote control, with tables, messages and exit codes. A question goes to every worker of the broker, and
whoever answers within WAIT seconds is in the table; a worker that is cut off from its broker, or just starts, is not.

| module    | what it does                                              |
|-----------|-----------------------------------------------------------|
| arguments | the command line                                          |
| command   | runs one command, and says when nobody answers            |
| questions | workers, active, scheduled, registered                    |
| orders    | revoke, rate, events, consume                             |
"""

WAIT = 2.0  # seconds without a further answer: a loop that is busy answers within a second
