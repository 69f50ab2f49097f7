r"""The keys of a queue in Redis. The lists are kombu's, so that producers and tools need nothing but `redis://`.

| key                   | type       | what it holds                                                                  |
|-----------------------|------------|--------------------------------------------------------------------------------|
| QUEUE                 | list       | messages that wait; kombu pushes left, workers take right                      |
| QUEUE\x06\x16PRIORITY | list       | the same for each further priority step                                        |
| claiming:QUEUE        | list       | a message on its way from a list to a worker that waited; any claim takes it   |
| unacked:QUEUE         | hash       | delivery tag -> [message, exchange, routing key]: claimed, not acknowledged    |
| unacked_index:QUEUE   | sorted set | delivery tag -> server time (s) of the claim or of its last renewal            |
| dead.QUEUE            | list       | dead letters, newest left                                                      |
"""

from __future__ import annotations


def claiming(queue: str) -> str:
    return f"claiming:{queue}"


def unacked(queue: str) -> str:
    return f"unacked:{queue}"


def unacked_index(queue: str) -> str:
    return f"unacked_index:{queue}"


def dead(queue: str) -> str:
    """The same name as the queue of dead letters on RabbitMQ."""
    return f"dead.{queue}"
