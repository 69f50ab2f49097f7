"""The schedule while Beat runs: looked at, and changed without a restart.

Beat reads its entries from Redis at every tick, so that a change there holds within 5 s. But at its start it stores
those of the code again, and RedBeat would overwrite the change. So the name of what was changed is kept: from then on
schedule, options and whether it is enabled are what Redis has, while task and arguments stay those of the code. `reset`
gives an entry back to the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery, Signature
from redbeat.schedulers import ensure_conf, get_redis

from celery_runtime.schedule.entries import Entry
from celery_runtime.sentinel import redbeat_options
from celery_runtime.settings import RuntimeSettings, load

REDIS_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 4, "socket_keepalive": True}  # seconds
KEPT = ("schedule", "enabled", "options")


class UnknownEntryError(LookupError):
    """The schedule has no entry of that name; `known` are those that it has."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"The schedule has no entry {name!r}. It has {', '.join(known)}.")
        self.known = known


class Schedule:
    """The entries of `app`, in Redis and in its code. Each method raises redis-py's errors."""

    def __init__(self, app: Celery) -> None:
        # Not by install(): a worker would show it, password included, to everybody who may inspect it.
        app.conf.update(redbeat_options(load(RuntimeSettings)))
        bound_redis(app)
        ensure_conf(app)
        self.app = app

    def entries(self) -> list[Entry]:
        """All of them by name; what no Beat has stored yet is as in the code, and never ran."""
        return [entry for entry in map(self._read, self.names()) if entry is not None]

    def names(self) -> list[str]:
        stored = get_redis(self.app).zrange(self.app.redbeat_conf.schedule_key, 0, -1)
        prefix = len(self.app.redbeat_conf.key_prefix)
        return sorted({key[prefix:] for key in stored} | set(self._code()))

    def find(self, name: str) -> Entry:
        """One of them. Raises UnknownEntryError."""
        entry = self._read(name)
        if entry is None:
            raise UnknownEntryError(name, self.names())
        return entry

    def changed(self) -> set[str]:
        """The names of what was changed at run time."""
        return set(get_redis(self.app).smembers(_changes_key(self.app)))

    def change(self, entry: Entry) -> None:
        """Let `entry` be as it is now, from the next tick on and after a restart; one that is overdue runs at once."""
        get_redis(self.app).sadd(_changes_key(self.app), entry.name)
        entry.save()

    def reset(self, name: str) -> bool:
        """Give an entry back to the code, or remove it if it is not there; returns whether it is.

        Raises UnknownEntryError.
        """
        entry = self.find(name)
        get_redis(self.app).srem(_changes_key(self.app), name)
        if name not in self._code():
            entry.delete()
            return False
        original = self._of_code(name)
        original.last_run_at = entry.last_run_at
        original.save()
        return True

    def task(self, entry: Entry) -> Signature:
        """What Beat would send now; its result is kept, whoever sends it waits for it."""
        options = {**entry.options, "ignore_result": False}
        return self.app.signature(entry.task, args=entry.args, kwargs=entry.kwargs, options=options)

    def _read(self, name: str) -> Entry | None:
        try:
            entry: Entry = Entry.from_key(Entry.generate_key(self.app, name), app=self.app)
        except KeyError:
            return self._of_code(name) if name in self._code() else None
        return entry

    def _code(self) -> Mapping[str, Any]:
        code: Mapping[str, Any] = self.app.conf.beat_schedule
        return code

    def _of_code(self, name: str) -> Entry:
        return Entry(**self._code()[name], name=name, app=self.app)


def bound_redis(app: Celery) -> None:
    """Let RedBeat wait for Redis no longer than REDIS_OPTIONS say."""
    app.conf.redbeat_redis_options = REDIS_OPTIONS | (app.conf.get("redbeat_redis_options") or {})


def keep_changes(app: Celery, entries: Mapping[str, Any]) -> dict[str, Any]:
    """The `entries` of the code, as Beat is about to store them, with what was changed at run time."""
    client, kept = get_redis(app), dict(entries)
    for name in client.smembers(_changes_key(app)) & set(entries):
        try:
            stored = Entry.from_key(Entry.generate_key(app, name), app=app)
        except KeyError:
            client.srem(_changes_key(app), name)  # the code did without the entry for a while
        else:
            kept[name] = {**entries[name], **{field: getattr(stored, field) for field in KEPT}}
    return kept


def _changes_key(app: Celery) -> str:
    return f"{app.redbeat_conf.key_prefix}:changed"
