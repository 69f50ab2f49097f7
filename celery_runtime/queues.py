"""The one file that says which queues exist: queues.toml, read, completed and checked.

The time budget of a queue is `soft_time_limit < time_limit < drain < grace`. Only limits are written down; a worker
that is told to stop waits `drain` seconds for its tasks, and whoever stops it must allow `grace` seconds.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from celery_runtime.settings import ConfigError

SOFT_MARGIN = 10  # seconds a task has for its clean-up between the soft limit and the kill
DRAIN_MARGIN = 10  # seconds from the last task's kill until its failure is stored and acknowledged
GRACE_MARGIN = 20  # seconds to hand messages back, close connections and end the process
NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")  # valid in a Kubernetes name, a systemd instance and a Redis key
PROCESSES = ("direct", "prefork")  # the pools that have some
MEMORY = r"^[1-9]\d*(Mi|Gi)$"
DAY = 86_400

Seconds = Annotated[StrictInt, Field(ge=1, le=DAY, description="a whole number of seconds from 1 to 86400 (a day)")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Scale(Strict):
    """How many workers serve the queue where something can scale them."""

    min: StrictInt = Field(1, ge=0, le=1000, description="a whole number from 0 to 1000")
    max: StrictInt = Field(4, ge=1, le=1000, description="a whole number from 1 to 1000, at least min")
    tasks_per_replica: StrictInt = Field(10, ge=1, le=100_000, description="a whole number from 1 to 100000")


class Autoscale(Strict):
    """How many processes one worker has: `max` while there is work for them, `min` when there is none."""

    min: StrictInt = Field(1, ge=1, le=1000, description="a whole number from 1 to 1000")
    max: StrictInt = Field(4, ge=1, le=1000, description="a whole number from 1 to 1000, at least min")


class Resources(Strict):
    """What one worker (its main process and its pool) may use."""

    cpu: str = Field("500m", pattern=r"^([1-9]\d*m|[1-9]\d*|0?\.\d+|[1-9]\d*\.\d+)$", description='like "500m" or "2"')
    memory: str = Field("256Mi", pattern=MEMORY, description='like "256Mi" or "1Gi"')

    @property
    def cores(self) -> float:
        return int(self.cpu[:-1]) / 1000 if self.cpu.endswith("m") else float(self.cpu)

    @property
    def memory_mib(self) -> int:
        return mebibytes(self.memory)


class Queue(Strict):
    """One queue and the worker that serves it."""

    name: str
    pool: Literal["direct", "prefork", "threads", "solo"] = Field(
        "direct", description="one of direct, prefork, threads, solo"
    )
    concurrency: StrictInt = Field(2, ge=1, le=1000, description="a whole number from 1 to 1000")
    soft_time_limit: Seconds
    time_limit: Seconds
    drain: Seconds
    requeue_on_drain: StrictBool = Field(False, description="true or false")
    max_tasks_per_child: StrictInt = Field(1000, ge=1, le=10_000_000, description="a whole number from 1 to 10000000")
    max_memory_per_child: str | None = Field(None, pattern=MEMORY, description='like "256Mi" or "1Gi"')
    autoscale: Autoscale | None = Field(None, description="a table like { min = 1, max = 4 }")
    events: StrictBool = Field(False, description="true or false")  # an event for each task, which Flower shows
    age_target: Seconds = 300  # for how long a message may wait before somebody is told
    scale: Scale = Field(Scale(), description="a table like { min = 1, max = 4, tasks_per_replica = 10 }")
    resources: Resources = Field(Resources(), description='a table like { cpu = "500m", memory = "256Mi" }')

    def pool_on(self, broker: str, *, claims: bool) -> str:
        """Celery's name of the pool that serves the queue: prefork where `direct` cannot be.

        claims: whether the part of that name is on.
        """
        return "prefork" if self.pool == "direct" and broker == "redis" and not claims else self.pool

    @property
    def slots_max(self) -> int:
        """Tasks that run at once when everything is scaled to its maximum."""
        return self.scale.max * (self.autoscale.max if self.autoscale else self.concurrency)

    @property
    def grace(self) -> int:
        """Seconds from the request to stop until the process may be killed."""
        return self.drain + GRACE_MARGIN


def mebibytes(memory: str) -> int:
    """A size like "256Mi" or "1Gi" in MiB."""
    return int(memory[:-2]) * (1024 if memory.endswith("Gi") else 1)


def load_queues(path: Path | str) -> dict[str, Queue]:
    """Return the queues of the file at `path` in its order, each complete with defaults.

    Raises ConfigError that names file, queue, key, value and remedy.
    """
    path = Path(path)
    document = _read(path)
    unknown = set(document) - {"defaults", "queues"}
    if unknown:
        raise ConfigError(f"{path.name}: [{min(unknown)}] is not a known table.\n  Write [defaults] or [queues.NAME].")
    defaults, blocks = document.get("defaults", {}), document.get("queues", {})
    if not isinstance(blocks, dict) or not blocks:
        raise ConfigError(f"{path.name}: there is no queue.\n  Add a block that starts with [queues.default].")
    for name, block in blocks.items():
        _check_name(path, name, block)
    return {name: _queue(path, name, _table(path, "defaults", defaults), block) for name, block in blocks.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}.\n  Name the file in QUEUES_FILE.") from None
    except tomllib.TOMLDecodeError as error:
        hint = "  A name may stand only once." if "declare" in str(error) or "overwrite" in str(error) else ""
        raise ConfigError(f"{path.name}: is not valid TOML: {error}.\n{hint or '  Correct that line.'}") from None


def _check_name(path: Path, name: str, block: Any) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{path.name}: [queues.{name}] is not a valid name for a queue.\n"
            "  Use at most 40 lower-case letters, digits and hyphens, a letter first."
        )
    _table(path, f"queues.{name}", block)


def _table(path: Path, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{path.name}: {name} = {value!r} is not a table.\n  Start its block with [{name}].")
    return value


def _queue(path: Path, name: str, defaults: dict[str, Any], block: dict[str, Any]) -> Queue:
    merged = {**defaults, **block}
    for key in ("scale", "autoscale", "resources"):
        if isinstance(defaults.get(key), dict) and isinstance(block.get(key), dict):
            merged[key] = {**defaults[key], **block[key]}
    _derive_limits(merged, block)
    try:
        queue = Queue(name=name, **merged)
    except ValidationError as error:
        raise ConfigError(_explain(path, name, block, error)) from None
    except TypeError:
        raise ConfigError(
            f"{path.name}: [queues.{name}] name = {merged['name']!r} is not a known key.\n"
            "  The name of a queue is in its block's first line."
        ) from None
    _check_budget(path, queue)
    return queue


def _derive_limits(merged: dict[str, Any], block: dict[str, Any]) -> None:
    """Complete the time budget; a soft limit of [defaults] does not apply to a queue with a time limit of its own."""
    limit = merged.setdefault("time_limit", 60)
    if not isinstance(limit, int) or isinstance(limit, bool):
        merged.setdefault("soft_time_limit", 1)  # the time limit's own fault is what gets reported
        merged.setdefault("drain", 1)
        return
    if "soft_time_limit" not in merged or ("time_limit" in block and "soft_time_limit" not in block):
        merged["soft_time_limit"] = max(limit - SOFT_MARGIN, 1)
    if "drain" not in merged:
        merged["drain"] = min(max(limit, 1), DAY - DRAIN_MARGIN) + DRAIN_MARGIN


def _check_budget(path: Path, queue: Queue) -> None:
    where = f"{path.name}: [queues.{queue.name}]"
    if queue.soft_time_limit >= queue.time_limit:
        raise ConfigError(
            f"{where} soft_time_limit = {queue.soft_time_limit} is not below its time_limit = {queue.time_limit}.\n"
            "  A task would be killed before it is told to clean up.\n"
            f"  Raise time_limit to {queue.soft_time_limit + SOFT_MARGIN}, or lower soft_time_limit."
        )
    if queue.drain <= queue.time_limit and not queue.requeue_on_drain:
        raise ConfigError(
            f"{where} drain = {queue.drain} is not above its time_limit = {queue.time_limit}.\n"
            f"  Tasks still running after {queue.drain} s of a shutdown would go back to the queue and start again.\n"
            f"  Raise drain to {queue.time_limit + DRAIN_MARGIN} or more, or set requeue_on_drain = true "
            "if the tasks may be repeated."
        )
    if queue.scale.min > queue.scale.max:
        raise ConfigError(
            f"{where} scale.min = {queue.scale.min} is above scale.max = {queue.scale.max}.\n  Raise max or lower min."
        )
    if queue.autoscale and queue.autoscale.min > queue.autoscale.max:
        low, high = queue.autoscale.min, queue.autoscale.max
        raise ConfigError(f"{where} autoscale.min = {low} is above autoscale.max = {high}.\n  Raise max or lower min.")
    for key in ("autoscale", "max_memory_per_child"):
        if getattr(queue, key) is not None and queue.pool not in PROCESSES:
            raise ConfigError(
                f'{where} {key} says nothing of pool = "{queue.pool}", which has one process.\n'
                "  Leave it out, or use the pool direct or prefork."
            )
    if queue.pool == "solo" and queue.concurrency != 1:
        raise ConfigError(
            f'{where} concurrency = {queue.concurrency} and pool = "solo" exclude each other: solo runs one task.\n'
            "  Set concurrency = 1, or another pool."
        )


def _explain(path: Path, name: str, block: dict[str, Any], error: ValidationError) -> str:
    return "\n".join(_explain_fault(path, name, block, fault) for fault in error.errors())


def _explain_fault(path: Path, name: str, block: dict[str, Any], fault: Any) -> str:
    location = [str(part) for part in fault["loc"]]
    key, value = ".".join(location), fault["input"]
    where = f"[queues.{name}]" if location[0] in block else "[defaults]"
    models: dict[str, type[BaseModel]] = {"scale": Scale, "autoscale": Autoscale, "resources": Resources}
    model = models[location[0]] if location[1:] else Queue
    if fault["type"] == "extra_forbidden":
        known = sorted(set(model.model_fields) - {"name"})
        near = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        return f"{path.name}: {where} {key} = {value!r} is not a known key.\n  {hint}Known keys: {', '.join(known)}."
    field = model.model_fields[location[-1]]
    return f"{path.name}: {where} {key} = {value!r} is not valid.\n  Write {field.description}."
