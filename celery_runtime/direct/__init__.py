"""A Celery pool whose children fetch for themselves: stock's features, a fraction of its cost.

So it is on Redis. On RabbitMQ the parent consumes and its children take from a line in the kernel: see rabbitmq/.

The parent stays a stock worker: command line, remote control, events, timers, drain, health. What it never does is
carry a plain task. Each child claims one message with the step that also stores the result and the acknowledgement of
the one before, runs it with Celery's own tracer, and comes back. Whatever is not plain (an ETA, a rate limit, a revoked
id, a redelivery, a class of requests of the app's own, anything malformed) it hands to its parent, where Celery's own
code decides, and where a child fetches it again as a job once it is due.

| module        | what it is for                                                                            |
|---------------|-------------------------------------------------------------------------------------------|
| pool.py       | the pool as Celery knows it: start, apply, grow, stop                                     |
| brokers.py    | what it asks of a broker, which redis/ and rabbitmq/ answer                               |
| child.py      | the loop of a child: claim, run, settle                                                   |
| plain.py      | which messages a child may run itself                                                     |
| slot.py       | what one child shows its parent, in shared memory; the message in its hand                |
| merging.py    | a result that waits for the step                                                          |
| orders.py     | what the parent tells all children, in shared memory                                      |
| briefing.py   | what it tells them, as the consumer is now                                                |
| pipe.py       | what a child sends its parent                                                             |
| conversation.py | what the parent answers                                                                 |
| jobs.py       | requests that the parent has judged and a child runs                                      |
| family.py     | forking, waking and burying children                                                      |
| supervisor.py | time limits, lost children, leases                                                        |
| settling.py   | a child's message as a request of Celery's, for everything that its child cannot settle   |
| ring.py       | notes on their way from a child to its parent, in shared memory                           |
| events.py     | events of the tasks that children ran, through shared memory                              |
| tallies.py    | numbers of the tasks that children ran                                                    |
| autoscaler.py | `--autoscale`                                                                             |
| step.py       | joins pool and consumer: who waits for messages, remote control, refusals                 |
| internals.py  | every part of Celery that has no public name                                              |

docs/direct-pool.md follows a message through all of it.
"""

from __future__ import annotations

from celery import concurrency


def install_name() -> None:
    """Let Celery find the pool by the setting `worker_pool = "direct"`.

    The option --pool=direct is for celery-runtime's own commands: `celery worker` lists the pools before it imports the
    app.
    """
    concurrency.ALIASES["direct"] = "celery_runtime.direct.pool:Pool"
