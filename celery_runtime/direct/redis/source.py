"""What a child does on Redis: one step that settles the task just ended and claims the next.

The keys are those of celery_runtime.redis_transport, which the parent uses too: it waits for messages, renews and
sweeps what the children hold, so that a child has one connection and never blocks on it.
"""

from __future__ import annotations

import contextlib
import json
import select
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

from celery import Celery
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import NoScriptError, RedisError

from celery_runtime.direct.brokers import Claimed, Finished, LostError, Source
from celery_runtime.direct.pipe import ChildEnd, Kind
from celery_runtime.redis_transport.messages import parse
from celery_runtime.redis_transport.scripts import CLOCK, RECORD, TAG, sha1
from celery_runtime.redis_transport.steps import Steps
from celery_runtime.results import RESULT, UNKNOWN, Pending

# Store a result, acknowledge its message, claim the next: any of them alone, too.
#   KEYS for each queue: its index, unacked, claiming and lists, the most urgent list first; then the result, if any
#   ARGV 1: "1" to claim; 2: number of the queue of the acknowledged message, "0" for none; 3: its delivery tag;
#   4: result, 5: seconds until it expires; then for each queue: name as JSON, number of lists that may be claimed from
#   returns what `writable` says of the result, how many messages were acknowledged, and of the claimed one the number
#   of its queue, its delivery tag and itself
# The first write is one that a Redis without memory allows: after it, it allows the rest.
STEP = (
    CLOCK
    + TAG
    + RECORD
    + RESULT
    + """
local stored = 1
if ARGV[4] ~= '' then
  stored = writable(KEYS[#KEYS])
  if stored < 0 then return {stored, 0} end
end

local queues, key, steps = {}, 1, 0
for arg = 6, #ARGV, 2 do
  local lists = tonumber(ARGV[arg + 1])
  queues[#queues + 1] = {
    index = KEYS[key], unacked = KEYS[key + 1], claiming = KEYS[key + 2], first = key + 3,
    name = ARGV[arg], lists = lists,
  }
  key, steps = key + 3 + lists, math.max(steps, lists)
end

local acknowledged = 1
local settled = queues[tonumber(ARGV[2])]
if settled then
  acknowledged = redis.call('HDEL', settled.unacked, ARGV[3])
  redis.call('ZREM', settled.index, ARGV[3])
end
if ARGV[4] ~= '' and stored == 1 then write(KEYS[#KEYS], ARGV[4], ARGV[5]) end
if ARGV[1] == '0' then return {stored, acknowledged} end

for step = -1, steps - 1 do
  for number, queue in ipairs(queues) do
    if step < queue.lists and queue.lists > 0 then
      local list = step < 0 and queue.claiming or KEYS[queue.first + step]
      local raw = redis.call('RPOP', list)
      if raw then return {stored, acknowledged, number, record(queue, raw, now, 0), raw} end
    end
  end
end
return {stored, acknowledged}
"""
)
STEP_SHA = sha1(STEP)
LOOK = 30.0  # seconds after which a child looks for messages though nobody woke it


class _Plan(NamedTuple):
    """The arguments of STEP that only depend on its queues."""

    queues: tuple[str, ...]
    keys: list[str]
    values: list[Any]


class RedisSource(Source):
    """The queues that one child consumes.

    pipe: to the parent, which wakes it.
    warn: told of the delivery tag of a message that was acknowledged after its lease had ended.
    """

    keeps = True  # a message in the slot: the parent does not have it

    def __init__(self, app: Celery, pipe: ChildEnd, warn: Callable[[str], None]) -> None:
        self.app = app
        self.pipe = pipe
        self.warn = warn
        self.steps: Any = None
        self._connection: Any = None
        self._kombu: Any = None
        self._plans: dict[tuple[str, tuple[str, ...]], _Plan] = {}
        self._names: list[str] = []
        self._repeats = False  # whether the step before broke, and may have been taken

    def connect(self) -> None:
        """Connect where the app's broker is now, which Sentinel may have moved. Raises LostError."""
        self.close()
        try:
            self._kombu = self.app.connection_for_read()
            channel = self._kombu.default_channel
            self.steps = Steps(channel)
            self._connection = channel.pool.get_connection()
            self.stale_after = channel.visibility_timeout / 2
        except Exception as error:
            raise LostError(str(error)) from error

    def close(self) -> None:
        """Forget the connection. What it leaves behind is found by others."""
        self._plans.clear()
        if self._connection is not None:
            self._connection.disconnect()
        if self._kombu is not None:
            with contextlib.suppress(Exception):
                self._kombu.collect()
        self._connection = self._kombu = None

    def consume(self, names: list[str]) -> None:
        """From now on, claim from these queues, each in its turn."""
        self._names = list(names)

    def shares(self, pending: Pending) -> bool:
        """Whether a result is stored where the messages are, so that one step can do both."""
        ours, theirs = self.steps.channel.pool.connection_kwargs, pending.backend.connparams
        same = ("host", "port", "path", "username")
        return all((ours.get(name) or None) == (theirs.get(name) or None) for name in same) and int(
            ours.get("db") or 0
        ) == int(theirs.get("db") or 0)

    def step(self, finished: Finished | None, *, claim: bool) -> Claimed | None:
        """Settle `finished`, then claim at most one message. Raises LostError; it may then be called again."""
        if finished is None and not (claim and self._names):
            return None
        plan = self._plan(finished.queue if finished else "")
        keys: list[Any] = plan.keys
        values: list[Any] = ["1" if claim and self._names else "0", 0, "", "", 0]
        if finished is not None:
            if finished.tag:
                values[1], values[2] = plan.queues.index(finished.queue) + 1, finished.tag
            if finished.result is not None:
                keys = [*keys, bytes_to_str(finished.result.key)]
                values[3], values[4] = finished.result.value, finished.result.expires
        asked = monotonic()
        answer = self._run(keys, (*values, *plan.values))
        if answer[0] == UNKNOWN and finished is not None and finished.result is not None:
            finished.result.in_two_trips()
            return self.step(finished._replace(result=None), claim=claim)
        if not answer[1] and finished is not None and not self._repeats:
            self.warn(finished.tag)
        self._repeats = False
        if len(answer) < 3:
            return None
        queue = plan.queues[answer[2] - 1]
        self._turn_to_the_next(queue)
        return Claimed(queue, bytes_to_str(answer[3]), answer[4], monotonic() - asked < self.stale_after)

    def hand_back(self, queue: str, tag: str) -> None:
        """Return a claimed message to the head of its queue. Raises LostError."""
        with self._telling_of_losses():
            self.steps.hand_back([(queue, tag)])

    def wait(self, interruptible: Callable[[bool], None]) -> None:
        """Until the parent wakes this child, or a signal does, which may raise while `interruptible` says so."""
        self.pipe.send(Kind.IDLE)
        interruptible(True)
        select.select([self.pipe.socket], [], [], LOOK)
        interruptible(False)

    def leave(self, seconds: float) -> None:
        """The process is to end after its task. Without its parent the kernel has ended it."""

    @staticmethod
    def parse(raw: bytes, queue: str, tag: str) -> dict[str, Any]:
        """A message. Raises MalformedError."""
        payload = parse(raw, tag)
        return payload | {"delivery_info": payload["properties"].get("delivery_info") or {}}

    def _run(self, keys: list[str], values: tuple[Any, ...]) -> Any:
        connection = self._connection
        with self._telling_of_losses():
            try:
                connection.send_command("EVALSHA", STEP_SHA, len(keys), *keys, *values)
                return connection.read_response()
            except NoScriptError:
                connection.send_command("EVAL", STEP, len(keys), *keys, *values)
                return connection.read_response()

    @contextlib.contextmanager
    def _telling_of_losses(self) -> Any:
        try:
            yield
        except (RedisError, OSError) as error:
            self._repeats = True
            raise LostError(str(error)) from error
        except BaseException:  # a signal's: the next answer would be this one's
            self._repeats = True
            self.close()
            raise

    def _plan(self, settled: str) -> _Plan:
        """Lists of the consumed queues; of the queue of what is settled nothing but what is held, unless consumed."""
        extra = settled if settled and settled not in self._names else ""
        wanted = extra, tuple(self._names)
        found = self._plans.get(wanted)
        if found is None:
            queues = (*self._names, extra) if extra else tuple(self._names)
            keys: list[str] = []
            values: list[Any] = []
            for queue in queues:
                lists = [] if queue == extra else self.steps.lists(queue)
                keys += [*self.steps.holding(queue), self.steps.claiming(queue), *lists]
                values += [json.dumps(queue), len(lists)]
            found = self._plans[wanted] = _Plan(queues, keys, values)
        return found

    def _turn_to_the_next(self, queue: str) -> None:
        """Let every other queue be asked before `queue` is, so that a busy one starves none."""
        names = self._names
        if len(names) > 1 and queue in names:
            place = names.index(queue) + 1
            self._names = names[place:] + names[:place]
