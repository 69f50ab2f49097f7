"""Ways to reach Redis: with the least privileges, over TLS, through a Unix socket, behind Sentinel, with Redis 6.2."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from tests.integration.conftest import PASSWORD, until
from tests.integration.redis_peers import CLAIMS, STOCK, Peer, event_loop, held, waiting
from tests.integration.redis_servers import LocalServer

SENTINEL = "celery_runtime.redis_transport.transport:SentinelTransport"
# What a user of Redis needs for the queue `q`: rules of an ACL. `_kombu.binding.*` say which queues exist; results,
# locks and the schedule of Beat need `celery-task-meta-*` and `redbeat*` besides. /DB.* are the channels of events and
# of remote control.
LEAST = {
    "producer": "~q ~q\x06\x16* ~_kombu.binding* &/0.* -@all +ping +hello +auth +select +client|setinfo +multi +exec"
    " +llen +lpush +sadd +smembers +publish",
    "worker": "~q ~q\x06\x16* ~claiming:q ~unacked:q ~unacked_index:q ~unacked ~unacked_index ~_kombu.binding* &/0.*"
    " -@all +ping +hello +auth +select +client|setinfo +multi +exec +llen +lpush +rpush +rpop +lpop +blmove +sadd"
    " +smembers +hget +hsetnx +hdel +zadd +zrem +zrange +zscore +time +eval +evalsha +script|load +publish +subscribe"
    " +psubscribe +unsubscribe +punsubscribe",
}


def test_a_worker_and_a_producer_need_few_privileges(peer, admin):
    for name, rules in LEAST.items():
        admin.execute_command("ACL", "SETUSER", name, "reset", "on", f">{PASSWORD}", *rules.split(" "))
    worker = peer(user="worker", stock_visibility_timeout=0).consume("q", prefetch=4)
    producer = peer(STOCK, user="producer")
    with event_loop(worker) as run:
        admin.script_flush()
        producer.send("q", 1, 2, 3)
        producer.send("q", 4, priority=6)
        run(lambda: len(worker.received) == 4)
        first, second, *_ = worker.received
        first.ack()
        second.requeue()
        assert worker.channel.steps.renew(worker.channel.held.by_queue()) == []
        worker.channel.qos.restore_visible(interval=1)
        run(lambda: len(worker.received) == 5)
        assert worker.channel.steps.server()[1] == "standalone"
    assert waiting(admin) == 3 and held(admin) == 0
    with pytest.raises(NoPermissionError):
        producer.channel.client.rpop("q")
    assert [entry["object"] for entry in admin.acl_log()] == ["rpop"]


def test_over_tls(images, containers, certificates):
    options = ["--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no", "--requirepass", PASSWORD]
    options += ["--tls-cert-file", "/tls/server.crt", "--tls-key-file", "/tls/server.key"]
    options += ["--tls-ca-cert-file", "/tls/ca.crt"]
    files = [(certificates, "/tls")]
    _, port = containers(images["redis"], 6379, "redis-server", *options, files=files, user="redis")
    ssl = {"ssl_cert_reqs": "required", "ssl_ca_certs": str(certificates / "ca.crt")}
    until(lambda: connects(port, ssl))
    consumer = Peer(port, password=PASSWORD, user="default", ssl=ssl).consume("q")
    with event_loop(consumer) as run:
        for number in range(20):
            consumer.send("q", number, "x" * 100_000)
            run(lambda number=number: len(consumer.received) == 2 * number + 2)
            consumer.received[-1].ack()
        run(lambda: not consumer.channel.held.acks)


def connects(port, ssl):
    try:
        Peer(port, password=PASSWORD, user="default", ssl=ssl).close()
    except OperationalError:
        return False
    return True


def test_through_a_unix_socket_and_with_the_oldest_redis(tmp_path, monkeypatch):
    monkeypatch.setitem(TRANSPORT_ALIASES, "redis", CLAIMS)
    monkeypatch.setattr("kombu.transport._transport_cache", {})
    path = tmp_path / "redis.sock"
    with LocalServer(tmp_path / "server", f"unixsocket {path}") as server, server.client() as admin:
        consumer = Peer(f"redis+socket://{path}", None, password=None, user=None, socket_keepalive=True)
        consumer.consume("q", prefetch=2)
        assert admin.info("server")["redis_version"].startswith("6.2.")
        with event_loop(consumer) as run:
            consumer.send("q", *range(5))
            for number in range(5):
                run(lambda number=number: len(consumer.received) > number)
                consumer.received[number].ack()
            run(lambda: held(admin) == 0)
            consumer.send("q", 5)
            run(lambda: len(consumer.received) == 6)
            assert consumer.channel.steps.sweep("q", 0) == 1
        assert waiting(admin) == 1


@pytest.mark.slow
def test_a_failover_behind_sentinel_loses_nothing(tmp_path):
    safe = "min-replicas-to-write 1"  # or the old master takes acknowledgements that nobody will ever know of
    with LocalServer(tmp_path / "one", safe) as one, LocalServer(tmp_path / "two", safe) as two:
        replica = two.client()
        replica.replicaof("127.0.0.1", one.port)
        until(lambda: one.client().info("replication").get("min_slaves_good_slaves"))
        monitor = [f"sentinel monitor main 127.0.0.1 {one.port} 1", "sentinel down-after-milliseconds main 1000"]
        with LocalServer(tmp_path / "sentinel", *monitor, sentinel=True) as sentinel:
            asked = sentinel.client()
            consumer, done = sentinel_peer(sentinel).consume("q", prefetch=4), []
            consumer.send("q", *range(20))
            consumer.get(4)
            until(lambda: fails_over(asked))
            until(lambda: replica.info("replication")["role"] == "master")

            while len(set(done)) < 20 or held(replica):
                try:
                    consumer = consumer or sentinel_peer(sentinel).consume("q", prefetch=4)
                    consumer.channel.steps.sweep("q", 60 if consumer.received else 0)
                    consumer.turn()
                    while consumer.received:
                        consumer.received[0].ack()
                        done.append(consumer.received.pop(0).payload)
                except (OperationalError, RedisError):
                    if consumer:
                        consumer.die()
                    consumer = None
            if consumer:
                consumer.close()
            assert sorted(set(done)) == list(range(20)) and len(done) <= 20 + 4 and waiting(replica) == 0


def fails_over(sentinel):
    try:
        return sentinel.execute_command("SENTINEL", "FAILOVER", "main")
    except ResponseError:  # it does not know the replica yet
        return False


def sentinel_peer(sentinel):
    return Peer(sentinel.port, SENTINEL, password=None, user=None, master_name="main")
