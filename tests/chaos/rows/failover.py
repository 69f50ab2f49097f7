"""Rows in which one of a broker's servers takes over for another."""

from __future__ import annotations

from contextlib import closing, contextmanager

from tests.chaos.clusters import RabbitMQTrio, RedisPair
from tests.chaos.matrix import row

RATE = 40  # tasks published per second
UNDER_WAY = 1  # seconds; what ends sooner after a fault had been taken before


@contextmanager
def serving(trial, cluster, *, full, lost, doubled):
    """Make a cluster for a worker and a steady producer; in the end everything accepted ran but what is allowed."""
    with closing(cluster(trial.lab)) as broker:
        trial.broker = broker
        trial.variables |= broker.variables()
        trial.worker()
        producer = trial.publishing("sleep", trial.pick(short=800, full=full), rate=RATE, seconds=0.02)
        yield broker
        trial.published(producer, 300)
        trial.settle(120)
        trial.judge(lost=lost, doubled=doubled)


@row(15, "Redis fails over behind Sentinel, then its master is killed", brokers=("redis",))
def sentinel_failover(trial):
    """What the old master had not passed on is lost: at most a second of publishes, and of acknowledgements."""
    with serving(trial, RedisPair, full=3000, lost=RATE, doubled=RATE) as pair:
        for fault in (pair.switch, pair.kill_master):
            pair.wait_until_replicated()
            trial.until_ended(trial.account.read().ended + 50)
            began = trial.now()
            fault()
            trial.recovered(began + UNDER_WAY, 30 - UNDER_WAY, wait=True)


@row(16, "one of three RabbitMQ nodes killed, the queue's leader", brokers=("rabbitmq",))
def node_killed(trial):
    # AMQP confirms no acknowledgement: beside what ran, those of the last tasks went down with the node.
    with serving(trial, RabbitMQTrio, full=2000, lost=0, doubled=2 * trial.concurrency) as trio:
        trial.until_ended(50)
        began = trial.now()
        trio.stop_leader_of(trial.queue)
        trial.recovered(began + UNDER_WAY, 20 - UNDER_WAY, wait=True)
