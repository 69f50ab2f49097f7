from __future__ import annotations

from collections import Counter
from uuid import uuid4

import pytest
from celery import Celery
from kombu import Queue
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from celery_runtime import metrics, task_metrics
from celery_runtime.health import Pulse, State
from celery_runtime.metrics import times
from celery_runtime.settings import ConfigError, RuntimeSettings, load

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(metrics, "_counts", Counter())
    monkeypatch.setattr(metrics, "_gauges", {})
    monkeypatch.setattr(metrics, "_tallies", {})
    monkeypatch.setattr(metrics, "_pulses", [])


def scrape():
    """Each sample by its name and its labels' values in the alphabetical order of the labels."""
    families = text_string_to_metric_families(metrics.exposition()[0].decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_what_nothing_was_counted_of_is_zero_and_not_missing():
    assert scrape()["celery_lease_lost_total",] == 0
    assert not [sample for sample in scrape() if sample[0] == "celery_dead_letters_total"]


def test_counts_add_up_by_their_labels():
    metrics.count("lease_lost")
    metrics.count("lease_lost", 2)
    metrics.count("dead_letters", task="app.task", queue="media", reason="poison")

    assert scrape()["celery_lease_lost_total",] == 3
    assert scrape()["celery_dead_letters_total", "media", "poison", "app.task"] == 1


@pytest.mark.parametrize(("name", "labels"), [("leases_lost", {}), ("dead_letters", {"queue": "media"})])
def test_a_name_or_label_that_is_not_written_down_is_an_error(name, labels):
    with pytest.raises(KeyError):
        metrics.count(name, **labels)


def test_a_gauge_is_asked_at_each_scrape_and_must_be_written_down():
    values = iter([1, 2])
    metrics.gauge("slots", lambda: next(values))
    assert [scrape()["celery_slots",], scrape()["celery_slots",]] == [1, 2]

    with pytest.raises(KeyError):
        metrics.gauge("slits", lambda: 1)


def test_a_gauge_that_cannot_answer_is_left_out_of_the_scrape():
    metrics.gauge("slots", lambda: 1 / 0)
    metrics.gauge("slots_busy", lambda: 1)

    assert ("celery_slots",) not in scrape()
    assert scrape()["celery_slots_busy",] == 1


def test_times_are_a_cumulative_histogram():
    tally = metrics.tally("app.task", "media")
    for seconds in (0.001, 0.02, 7200):
        tally.run.add(seconds)

    found = {key[1]: value for key, value in scrape().items() if key[0] == "celery_task_run_seconds_bucket"}
    assert (found["0.01"], found["0.1"], found["120.0"], found["+Inf"]) == (1, 2, 2, 3)
    assert scrape()["celery_task_run_seconds_sum", "media", "app.task"] == pytest.approx(7200.021)


def test_the_slowest_task_of_late_is_the_example_of_its_bucket_in_openmetrics():
    tally = metrics.tally("app.task", "media")
    tally.run.add(0.3, "quick", 1000.0)
    tally.run.add(7.0, "slow", 1001.0)
    tally.run.add(6.0, "not-so-slow", 1002.0)

    text, content_type = metrics.exposition(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    samples = [s for family in openmetrics(text.decode()) for s in family.samples if s.exemplar]
    assert [(s.labels["le"], s.exemplar.labels, s.exemplar.value) for s in samples] == [
        ("15.0", {"task_id": "slow"}, 7)
    ]

    tally.run.add(0.2, "a-minute-later", 1062.0)
    assert "a-minute-later" in metrics.exposition(OPENMETRICS)[0].decode()


def test_an_id_that_openmetrics_has_no_room_for_is_no_example():
    metrics.tally("app.task", "media").run.add(0.3, "x" * 121, 1000.0)
    assert "xxx" not in metrics.exposition(OPENMETRICS)[0].decode()


def test_waiting_is_told_by_queue_and_what_never_happened_to_a_task_not_at_all():
    for task, queue in (("app.a", "media"), ("app.b", "media"), ("app.c", "ai")):
        tally = metrics.tally(task, queue)
        tally.wait.add(7200, "long", 1000.0)
        tally.outcomes["succeeded"] += 1
    metrics.tally("app.b", "media").redelivered += 1
    metrics.tally("app.b", "media").outcomes["rejected"] += 1

    samples = scrape()
    assert {key[1:]: n for key, n in samples.items() if key[0] == "celery_task_wait_seconds_count"} == {
        ("media",): 2,
        ("ai",): 1,
    }
    assert {key[1:]: n for key, n in samples.items() if key[0] == "celery_tasks_redelivered_total"} == {
        ("media", "other"): 0,
        ("media", "app.b"): 1,
        ("ai", "other"): 0,
    }
    ended = {key[1]: n for key, n in samples.items() if key[0] == "celery_tasks_ended_total" and key[-1] == "app.b"}
    assert ended == {"succeeded": 1, "failed": 0, "rejected": 1}


def test_a_scrape_of_forty_tasks_that_all_ran_is_under_60_kilobytes():
    for n in range(40):
        tally = metrics.tally(f"app.tasks.reminders.remind_{n:02}", "default")  # as long as those of the app
        tally.received = tally.started = tally.outcomes["succeeded"] = 123_456
        for part in (tally.run, tally.wait):
            part.counts[:] = [20_576] * len(part.counts)
            part.total = 123_456.789012345
            part.example = 0.123456789012345, str(uuid4()), 1_700_000_000.123456

    assert len(metrics.exposition(OPENMETRICS)[0]) < 60_000


def test_buckets_are_chosen_by_a_setting(monkeypatch):
    monkeypatch.setattr(times, "_chosen", ())
    monkeypatch.setenv("METRICS_BUCKETS", "0.1, 2")
    times.use_bounds(load(RuntimeSettings).bucket_bounds)
    metrics.tally("app.task", "media").run.add(1.0)

    found = {key[1]: value for key, value in scrape().items() if key[0] == "celery_task_run_seconds_bucket"}
    assert found == {"0.1": 0, "2.0": 1, "+Inf": 1}


@pytest.mark.parametrize("text", ["0,1", "1,1", "2,1", "1,x", "1,inf", ",".join(map(str, range(1, 32)))])
def test_buckets_that_make_no_histogram_are_refused(monkeypatch, text):
    monkeypatch.setenv("METRICS_BUCKETS", text)
    with pytest.raises(ConfigError, match=r"METRICS_BUCKETS = .* is not valid(?s:.*)METRICS_BUCKETS=0.01,0.1,1,10,60"):
        load(RuntimeSettings)


def test_a_labelled_gauge_has_a_sample_for_each_value():
    metrics.gauge("queue_ready", lambda: {("media",): 3, ("ai",): 0})
    assert (scrape()["celery_queue_ready", "media"], scrape()["celery_queue_ready", "ai"]) == (3, 0)


def test_a_count_of_nothing_makes_the_series():
    metrics.count("dead_letters", 0, task="app.task", queue="media", reason="poison")
    assert scrape()["celery_dead_letters_total", "media", "poison", "app.task"] == 0


def test_the_name_of_a_metric_says_its_unit_and_no_label_can_hold_who_or_where():
    for name, (help_text, labels) in (metrics.COUNTERS | metrics.GAUGES).items():
        assert help_text.endswith("."), name
        assert not set(labels) - {"queue", "reason", "task", "priority", "server"}, name


def test_the_state_is_one_of_four():
    pulse = Pulse()
    metrics.watch(pulse)
    pulse.move(State.DRAINING)

    states = {key[1]: value for key, value in scrape().items() if key[0] == "celery_state"}
    assert states == {"starting": 0, "ready": 0, "reconnecting": 0, "draining": 1}
    assert set(states) == set(State)


def test_the_build_is_told():
    (build,) = [key for key in scrape() if key[0] == "celery_build_info"]
    assert "5.7.0" in build


@pytest.mark.parametrize(
    ("consumed", "routing_key", "queue"),
    [
        (["media"], "whatever", "media"),
        (["media", "ai"], "ai", "ai"),
        (["media", "ai"], "made-up-7f3a", "other"),
    ],
)
def test_only_a_queue_that_the_worker_consumes_becomes_a_label(consumed, routing_key, queue):
    app = Celery(set_as_current=False)
    app.conf.task_queues = [Queue(name) for name in ("media", "ai", "email")]
    app.amqp.queues.select(consumed)

    assert task_metrics.queue_of(app, routing_key) == queue
