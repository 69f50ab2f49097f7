"""The outbox of this app: tasks that are sent if and only if the transaction commits that they belong to."""

from app.celery import app
from app.db import transaction
from celery_runtime.outbox import Outbox

outbox = Outbox(app, transaction)
