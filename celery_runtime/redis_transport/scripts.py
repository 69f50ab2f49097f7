"""The steps on Redis that must not be torn apart, each a Lua script. Needs Redis 6.2 (RPOP with a count, BLMOVE).

Ages are measured with the server's clock, so that a worker whose clock is wrong takes nobody's messages. What a script
writes first is a command that Redis allows when its memory is full: after that it allows the rest, and a full broker
can be emptied. Messages are edited as text, not decoded and encoded: Lua would turn `[]` into `{}` and round numbers.

A message that comes back because its worker died gets another delivery tag, `TAG~1`, then `TAG~2`: the number counts
the deliveries before, and the late acknowledgement of a worker that was only suspended finds nothing to remove.
"""

from __future__ import annotations

import hashlib

CLOCK = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""

TAG = """
-- first and last position of the delivery tag in a message as text; kombu writes it near the end
local function find_tag(raw)
  return string.match(raw, '^.*"delivery_tag":%s*"()([^"\\\\]+)()"')
end
"""

RECORD = """
local function tag_of(raw, now, number)
  local _, tag = find_tag(raw)
  return tag or redis.sha1hex(raw .. now .. number)
end

-- write a message down as claimed by whoever called; returns its delivery tag
local function record(queue, raw, now, number)
  local tag = tag_of(raw, now, number)
  -- two messages with one tag (a producer that repeats itself) must not overwrite each other
  while redis.call('HSETNX', queue.unacked, tag, '[' .. raw .. ', "", ' .. queue.name .. ']') == 0 do
    tag = tag .. '+'
  end
  redis.call('ZADD', queue.index, now, tag)
  return tag
end
"""

# Acknowledge, then claim: messages move from the lists into unacked.
#   KEYS for each queue: its index, unacked, claiming and lists, the most urgent list first
#   ARGV 1: most messages to claim; then for each queue: name as JSON, number of lists, "1" to record what is claimed,
#   number of acknowledged tags, the tags
#   returns the tags that were not there to acknowledge, and the claimed: number of the queue, tag, message, ...
CLAIM = (
    CLOCK
    + TAG
    + RECORD
    + """
local room = tonumber(ARGV[1])
local queues, absent, claimed = {}, {}, {}
local key, arg = 1, 2

local function take(number, queue, list)
  local found = room > 0 and redis.call('RPOP', list, room) or {}
  for _, raw in ipairs(found) do
    local tag = queue.record and record(queue, raw, now, #claimed) or tag_of(raw, now, #claimed)
    room = room - 1
    for _, part in ipairs({number, tag, raw}) do claimed[#claimed + 1] = part end
  end
end

while arg <= #ARGV do
  local queue = {
    index = KEYS[key], unacked = KEYS[key + 1], claiming = KEYS[key + 2], first = key + 3,
    name = ARGV[arg], lists = tonumber(ARGV[arg + 1]), record = ARGV[arg + 2] == '1',
  }
  local acks = tonumber(ARGV[arg + 3])
  for i = arg + 4, arg + 3 + acks do
    if redis.call('HDEL', queue.unacked, ARGV[i]) == 0 then absent[#absent + 1] = ARGV[i] end
    redis.call('ZREM', queue.index, ARGV[i])
  end
  queues[#queues + 1] = queue
  key, arg = queue.first + queue.lists, arg + 4 + acks
end

local steps = 0
for number, queue in ipairs(queues) do
  steps = math.max(steps, queue.lists)
  if queue.lists > 0 then take(number, queue, queue.claiming) end
end
for step = 0, steps - 1 do
  for number, queue in ipairs(queues) do
    if step < queue.lists then take(number, queue, KEYS[queue.first + step]) end
  end
end
return {absent, claimed}
"""
)

_RESTORE = (
    TAG
    + """
-- `steps` are the priorities that have a list of their own, as "0,3,6,9"
local function list_of(raw, base, separator, steps)
  local priority, best = tonumber(string.match(raw, '^.*"priority":%s*(%d+)')) or 0, 0
  for step in string.gmatch(steps, '%d+') do
    if tonumber(step) <= priority then best = math.max(best, tonumber(step)) end
  end
  return best == 0 and base or base .. separator .. best
end

-- kombu tells of a redelivery in the headers and in delivery_info
local function marked(raw, where)
  local before, after = string.match(raw, where)
  if not before or string.find(after, '^"redelivered": true') then return raw end
  return before .. '"redelivered": true' .. (string.sub(after, 1, 1) == '}' and '' or ', ') .. after
end

local function restored(raw, died)
  local first, tag, last = find_tag(raw)
  if died and first then
    local base, count = string.match(tag, '^(.-)~(%d+)$')
    local following = (base or tag) .. '~' .. ((count or 0) + 1)
    raw = string.sub(raw, 1, first - 1) .. following .. string.sub(raw, last)
  end
  raw = marked(raw, '^(.-"headers": {)(.*)$')
  return marked(raw, '^(.*"delivery_info": {)(.*)$')
end

-- the message in an entry of unacked, whether kombu wrote it or CLAIM; nothing when it came by another routing key
local function message_in(entry, routing_key)
  local tail = ', ' .. routing_key .. ']'
  if string.sub(entry, -#tail) == tail then
    return string.match(string.sub(entry, 2, -#tail - 1), '^(.*), ".*"$')
  end
end
"""
)

# Put messages back into their lists.
#   KEYS: index, unacked, the queue's list
#   ARGV: "LPUSH" for the end or "RPUSH" for the head of the queue, separator and steps of priorities, the queue's name
#   as JSON, the tags
#   returns how many were still there to be put back
HAND_BACK = (
    _RESTORE
    + """
local count = 0
for i = 5, #ARGV do
  local entry = redis.call('HGET', KEYS[2], ARGV[i])
  local raw = entry and message_in(entry, ARGV[4])
  if raw then
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
    redis.call(ARGV[1], list_of(raw, KEYS[3], ARGV[2], ARGV[3]), restored(raw, false))
    count = count + 1
  end
end
return count
"""
)

# Put back what nobody renewed, at the head of the queue, each with its next delivery tag.
#   KEYS: index, unacked, the queue's list
#   ARGV: age in seconds, most entries to look at, separator and steps of priorities, routing key as JSON
#   returns how many were put back
SWEEP = (
    CLOCK
    + _RESTORE
    + """
local count = 0
local old = redis.call('ZRANGE', KEYS[1], '-inf', now - ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
for i = #old, 1, -1 do
  local tag = old[i]
  local entry = redis.call('HGET', KEYS[2], tag)
  local raw = entry and message_in(entry, ARGV[5])
  if not entry then
    redis.call('ZREM', KEYS[1], tag)
  elseif raw then
    redis.call('ZREM', KEYS[1], tag)
    redis.call('HDEL', KEYS[2], tag)
    redis.call('RPUSH', list_of(raw, KEYS[3], ARGV[3], ARGV[4]), restored(raw, true))
    count = count + 1
  end
end
return count
"""
)

# Put back what was on its way to a worker that does not want it any more.
#   KEYS: claiming, the queue's list
#   ARGV: separator and steps of priorities
GIVE_BACK = (
    _RESTORE
    + """
local raw = redis.call('LPOP', KEYS[1])
while raw do
  redis.call('RPUSH', list_of(raw, KEYS[2], ARGV[1], ARGV[2]), raw)
  raw = redis.call('LPOP', KEYS[1])
end
"""
)

# Make messages as young as if they had been claimed now.
#   KEYS: index, unacked
#   ARGV: the tags
#   returns the tags that are not there any more
RENEW = (
    CLOCK
    + """
local absent = {}
redis.call('HDEL', KEYS[2], '')  -- allowed when memory is full, as ZADD is only after it
for _, tag in ipairs(ARGV) do
  if redis.call('ZSCORE', KEYS[1], tag) then
    redis.call('ZADD', KEYS[1], 'XX', now, tag)
  else
    absent[#absent + 1] = tag
  end
end
return absent
"""
)


def sha1(script: str) -> str:
    """The name under which Redis keeps a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def deliveries(tag: str) -> int:
    """How often a message was delivered to a worker that died with it."""
    _, _, count = tag.rstrip("+").rpartition("~")
    return int(count) if "~" in tag and count.isdigit() else 0
