from __future__ import annotations

from collections import Counter

import pytest
from celery import Celery
from kombu import Queue
from prometheus_client.parser import text_string_to_metric_families

from celery_runtime import metrics, task_metrics
from celery_runtime.health import Pulse, State


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
    metrics.count("dead_letters", queue="media", reason="poison")

    assert scrape()["celery_lease_lost_total",] == 3
    assert scrape()["celery_dead_letters_total", "media", "poison"] == 1


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
    assert (found["0.001"], found["0.01"], found["0.025"], found["3600.0"], found["+Inf"]) == (1, 1, 2, 2, 3)
    assert scrape()["celery_task_run_seconds_sum", "media", "app.task"] == pytest.approx(7200.021)


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
