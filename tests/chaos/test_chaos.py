"""The fault matrix as tests: some rows in short form, all of them in full where there is time (`make test-all`)."""

from __future__ import annotations

import pytest

from tests.chaos import rows as _all_rows  # noqa: F401  registers them
from tests.chaos.matrix import ROWS, Matrix

SHORT = (1, 2, 3, 5, 7, 8, 12, 13, 19, 20, 22, 27)


@pytest.fixture(scope="session")
def matrix():
    matrix = Matrix()
    yield matrix
    matrix.close()


def plays(numbers):
    """Each row on each broker where it means something; a broker's rows together, since its start takes a while."""
    found = [(number, broker) for broker in ("redis", "rabbitmq") for number in numbers]
    found = [(number, broker) for number, broker in found if broker in ROWS[number].brokers]
    return pytest.mark.parametrize(("number", "broker"), found, ids=[f"{broker}-{number}" for number, broker in found])


def told(outcome):
    logs = [f"-- {name}\n{log[-3000:]}" for name, log in outcome.logs.items()]
    return "\n".join([f"row {outcome.row}, {outcome.title}", *outcome.complaints, *outcome.remarks, *logs])


@pytest.fixture(scope="session")
def short(matrix, request):
    """The future outcome of every row that this session runs in short form: many run beside each other."""
    chosen = [item.callspec.params for item in request.session.items if item.originalname == "test_row_in_short"]
    return matrix.start([(params["number"], params["broker"]) for params in chosen], full=False)


@pytest.mark.timeout(900)  # the first one waits for those that run beside it
@plays(SHORT)
def test_row_in_short(short, number, broker):
    outcome = short[number, broker].result()
    assert outcome.holds, told(outcome)


# What a part is for: without it these rows fail with these words. Without the claim or the lease the visibility timeout
# is kombu's hour, so that nothing runs twice (row 19) and what a killed worker held does not come back (row 5).
NEEDED = {
    ("claim", 5, "redis"): "still holds",
    ("claim", 13, "redis"): "lost",
    ("lease", 5, "redis"): "still holds",
    ("drain", 3, "redis"): "the stop took",
    ("drain", 3, "rabbitmq"): "the stop took",
    ("dead-letters", 22, "redis"): "dead letters",
    ("dead-letters", 22, "rabbitmq"): "dead letters",
}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("part", "number", "broker"), NEEDED)
def test_a_row_fails_without_the_part_that_it_proves(matrix, part, number, broker):
    outcome = matrix.run(number, broker, full=False, off=part)
    assert NEEDED[part, number, broker] in "; ".join(outcome.complaints), told(outcome)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@plays(sorted(ROWS))
def test_row_in_full(matrix, number, broker):
    outcome = matrix.run(number, broker)
    assert outcome.holds, told(outcome)
