"""The nightly dump of the database, in a queue of its own: it takes longer than anything else, and needs the folder."""

from datetime import timedelta
from typing import Any

from app import backup
from app.celery import app
from app.db import database_url
from app.settings import settings
from app.tasks import DatabaseTask
from celery_runtime.tasks.locked import LockedTask


class Exclusive(LockedTask, DatabaseTask):
    """One at a time across all workers; one that finds another at work leaves it to that."""

    when_locked = "skip"


@app.task(base=Exclusive)
def back_up_database() -> dict[str, Any]:
    """Dump the database into BACKUP_DIR and remove the dumps older than BACKUP_KEEP_DAYS; returns what it did."""
    if database_url().get_backend_name() != "postgresql":
        return {"skipped": "the database is a file of this developer's: copy it"}
    folder = settings().backup_dir
    if folder is None:
        raise backup.BackupError("BACKUP_DIR is not set. Name a folder that survives this worker: BACKUP_DIR=/backups")
    dump = backup.make(folder)
    removed = backup.remove_old(folder, timedelta(days=settings().backup_keep_days))
    return {"backup": dump.name, "bytes": dump.stat().st_size, "removed": removed}
