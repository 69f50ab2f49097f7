"""The examples of docs/tasks.md, run as they stand there."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, event, func, insert, select
from sqlalchemy.orm import sessionmaker

from celery_runtime.tasks import signals
from celery_runtime.tasks.effect import effect_table

TEXT = (Path(__file__).parents[2] / "docs/tasks.md").read_text()


@pytest.fixture
def docs(tmp_path):
    """The names that the examples define, and those that they take for granted."""
    app = Celery("some-app", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.task = partial(app.task, shared=False)
    app.control.purge()
    signals.connect()
    metadata = MetaData()
    names = {"app": app, "metadata": metadata, "insert": insert, "pages": [], "__name__": "docs"}
    names["bills_table"] = Table("bills", metadata, Column("id", Integer, primary_key=True))
    names["charges"] = Table("charges", metadata, Column("id", Integer, primary_key=True), Column("bill", Integer))
    effect_table(metadata)
    engine = create_engine(f"sqlite:///{tmp_path}/docs.db")
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    names["transaction"] = sessionmaker(engine).begin
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(block, names)  # noqa: S102  our own text
    metadata.create_all(engine)
    names["outbox"].relay.nudge = lambda _session: None
    yield names
    signals.task_gave_up.disconnect(names["page"])
    app.close()
    engine.dispose()


def test_the_examples_do_what_they_say(docs):
    checked = docs["check"].apply(("post-1",), retries=4)
    assert checked.get() == {"post": "post-1", "verdict": "unchecked", "why": "busy for 7 s"}
    assert docs["pages"] == [("docs.check", True)]

    for _ in range(2):
        docs["charge"].apply((7,)).get()
    with docs["transaction"]() as session:
        assert session.scalar(select(func.count()).select_from(docs["charges"])) == 1

    docs["create_bill"](8)
    assert docs["outbox"].waiting().tasks == 1
    assert docs["app"].tasks["celery_runtime.outbox.relay"].apply().get() == 1
    assert docs["start"]([1, 2, 3]) == 3
    assert docs["settle"].lock_key(7, month="May") == "lock:docs.settle:7"
