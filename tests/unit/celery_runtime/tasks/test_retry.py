from __future__ import annotations

import pytest
from celery.exceptions import Retry

from celery_runtime.tasks.retry import RetryingTask


class BusyError(Exception):
    retry_after = 100


@pytest.fixture
def pauses():
    """The seconds between the tries of what is derived from `pauses.Base`."""

    class Pauses(list):
        class Base(RetryingTask):
            def retry(self, *args, **kwargs):
                try:
                    return super().retry(*args, **kwargs)
                except Retry as again:
                    seen.append(again.when)
                    raise

    seen = Pauses()
    return seen


def test_pauses_grow_up_to_the_longest(app, pauses):
    @app.task(base=pauses.Base, max_retries=8, retry_backoff=2, retry_backoff_max=20, retry_jitter=False)
    def fail():
        raise ConnectionError

    fail.apply()
    assert pauses == [2, 4, 8, 16, 20, 20, 20, 20]


def test_pauses_are_random_and_never_none_at_all(app, pauses):
    @app.task(base=pauses.Base, max_retries=100, retry_backoff_max=5)
    def fail():
        raise ConnectionError

    fail.apply()
    assert min(pauses) == 1 and max(pauses) == 5 and len(set(pauses)) > 3


def test_the_pause_that_an_error_names_is_kept_and_bounded(app, pauses):
    @app.task(base=pauses.Base, max_retries=3, autoretry_for=(BusyError,))
    def fail():
        raise BusyError

    fail.apply()
    assert len(pauses) == 3 and all(100 <= pause <= 110 for pause in pauses)
    fail.retry_backoff_max = 30
    fail.apply()
    assert pauses[3:] == [30, 30, 30]


def test_an_error_that_is_not_listed_is_final(app, pauses):
    @app.task(base=pauses.Base)
    def fail():
        raise ZeroDivisionError

    fail.apply()
    assert pauses == []


def test_a_fallback_gets_the_error_and_the_arguments(app, alerts):
    class Fallback(RetryingTask):
        def fallback(self, error, question, *, language):
            return f"{error}: no answer to {question} in {language}"

    @app.task(base=Fallback, max_retries=1)
    def ask(question, *, language):
        raise ConnectionError("away")

    result = ask.apply(("why",), {"language": "en"})
    assert (result.state, result.get()) == ("SUCCESS", "away: no answer to why in en")
    assert [(alert["fallback"], alert["attempt"]) for alert in alerts] == [(True, 2)]


def test_what_a_fallback_raises_is_the_failure(app):
    class Fallback(RetryingTask):
        def fallback(self, error):
            raise LookupError("nothing to fall back on") from error

    @app.task(base=Fallback, max_retries=0)
    def ask():
        raise ConnectionError

    with pytest.raises(LookupError):
        ask.apply().get()


def test_called_as_a_function_it_raises_what_its_function_raises(app):
    @app.task(base=RetryingTask, fallback=lambda *_: "fallback")
    def ask():
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        ask()
