from __future__ import annotations

import pytest

from celery_runtime.queues import load_queues
from celery_runtime.settings import ConfigError


@pytest.fixture
def load(tmp_path):
    def load_text(text):
        path = tmp_path / "queues.toml"
        path.write_text(text)
        return load_queues(path)

    return load_text


def test_a_queue_without_keys_is_complete(load):
    queue = load("[queues.default]\n")["default"]

    assert (queue.soft_time_limit, queue.time_limit, queue.drain, queue.grace) == (50, 60, 70, 90)
    assert queue.concurrency == 2
    assert queue.resources.cores == 0.5
    assert queue.resources.memory_mib == 256


def test_defaults_apply_and_a_queue_wins_over_them(load):
    queues = load("""
        [defaults]
        concurrency = 3
        scale = { min = 1, max = 4, tasks_per_replica = 10 }
        [queues.a]
        [queues.b]
        concurrency = 5
        scale = { max = 9 }
    """)

    assert [queues["a"].concurrency, queues["b"].concurrency] == [3, 5]
    assert (queues["b"].scale.min, queues["b"].scale.max, queues["b"].scale.tasks_per_replica) == (1, 9, 10)


def test_a_time_limit_of_its_own_brings_its_own_soft_limit(load):
    queues = load("[defaults]\nsoft_time_limit = 50\ntime_limit = 60\n[queues.media]\ntime_limit = 300\n")

    assert (queues["media"].soft_time_limit, queues["media"].time_limit) == (290, 300)


def test_queues_keep_the_order_of_the_file(load):
    assert list(load("[queues.z]\n[queues.a]\n[queues.m]\n")) == ["z", "a", "m"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[queues.media]\ntme_limit = 300", ["[queues.media]", "tme_limit = 300", "Did you mean time_limit"]),
        ("[defaults]\nsped = 1\n[queues.a]", ["[defaults]", "sped = 1", "Known keys"]),
        ("[queues.a]\nscale = { mx = 2 }", ["[queues.a]", "scale.mx = 2", "Did you mean max"]),
        ("[queues.a]\npool = 'fast'", ["[queues.a]", "pool = 'fast'", "prefork, threads, solo"]),
        ("[queues.a]\nconcurrency = 0", ["concurrency = 0", "from 1 to 1000"]),
        ("[queues.a]\nconcurrency = true", ["concurrency = True", "whole number"]),
        ("[queues.a]\ntime_limit = '5m'", ["time_limit = '5m'", "seconds from 1 to 86400"]),
        ("[queues.a]\ntime_limit = 1.5", ["time_limit = 1.5", "whole number"]),
        ("[queues.a]\nresources = { cpu = 'fast' }", ["resources.cpu = 'fast'", '"500m"']),
        ("[queues.a]\nresources = { memory = '256' }", ["resources.memory = '256'", '"256Mi"']),
        ("[queues.a]\nsoft_time_limit = 60\ntime_limit = 60", ["soft_time_limit = 60", "time_limit = 60", "Raise"]),
        ("[queues.a]\ntime_limit = 300\ndrain = 120", ["drain = 120", "time_limit = 300", "310", "requeue_on_drain"]),
        ("[queues.a]\nscale = { min = 5, max = 2 }", ["scale.min = 5", "scale.max = 2"]),
        ("[queues.a]\npool = 'solo'", ["concurrency = 2", "solo", "concurrency = 1"]),
        ("[queues.a]\nautoscale = { min = 5, max = 2 }", ["autoscale.min = 5", "autoscale.max = 2"]),
        ("[queues.a]\nautoscale = { min = 0 }", ["autoscale.min = 0", "from 1 to 1000"]),
        ("[queues.a]\nautoscale = 3", ["autoscale = 3", "a table like { min = 1, max = 4 }"]),
        ("[queues.a]\npool = 'threads'\nautoscale = {}", ["autoscale", "threads", "direct or prefork"]),
        ("[queues.a]\npool = 'threads'\nmax_memory_per_child = '1Gi'", ["max_memory_per_child", "threads"]),
        ("[queues.a]\nmax_memory_per_child = '300'", ["max_memory_per_child = '300'", '"256Mi"']),
        ("[queues.a]\nname = 'b'", ["name = 'b'", "not a known key"]),
        ("[queues.Media]", ["[queues.Media]", "lower-case"]),
        ("[queues.a]\n[queues.a]", ["queues.toml", "twice", "only once"]),
        ("[queue.a]", ["[queue]", "[queues.NAME]"]),
        ("[queues]\na = 3", ["queues.a = 3", "not a table"]),
        ("[queues.a]\nscale = 3", ["scale = 3", "a table like"]),
        ("defaults = 3\n[queues.a]", ["defaults = 3", "not a table"]),
        ("", ["there is no queue", "[queues.default]"]),
        ("[queues.a\nconcurrency = 2", ["not valid TOML", "line 1"]),
    ],
)
def test_a_fault_is_named_with_file_queue_key_value_and_remedy(load, text, names):
    with pytest.raises(ConfigError) as error:
        load(text)

    assert "queues.toml" in str(error.value)
    for name in names:
        assert name in str(error.value)


def test_drain_below_the_time_limit_is_allowed_where_tasks_may_be_repeated(load):
    queue = load("[queues.a]\ntime_limit = 300\ndrain = 30\nrequeue_on_drain = true")["a"]

    assert (queue.drain, queue.grace) == (30, 50)


def test_a_missing_file_names_its_path_and_variable(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml.*No such file(.|\n)*QUEUES_FILE"):
        load_queues(tmp_path / "absent.toml")


def test_the_most_that_runs_at_once_is_what_scaling_and_the_pool_allow(load):
    queues = load("""
        [queues.a]
        concurrency = 3
        scale = { max = 4 }
        [queues.b]
        autoscale = { min = 1, max = 5 }
        scale = { max = 2 }
    """)
    assert [queues["a"].slots_max, queues["b"].slots_max] == [12, 10]
    assert (queues["a"].events, queues["a"].age_target) == (False, 300)


@pytest.mark.parametrize(
    ("wanted", "broker", "claims", "served"),
    [
        ("direct", "redis", True, "direct"),
        ("direct", "redis", False, "prefork"),
        ("direct", "rabbitmq", False, "direct"),
        ("direct", "rabbitmq", True, "direct"),
        ("threads", "redis", False, "threads"),
    ],
)
def test_the_direct_pool_serves_where_it_can(load, wanted, broker, claims, served):
    queue = load(f"[queues.a]\npool = '{wanted}'")["a"]
    assert queue.pool_on(broker, claims=claims) == served
