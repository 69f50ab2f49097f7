"""A budget of tokens for any 60 seconds, which all workers share. It is in Redis, whatever the broker is.

Each second has a field with what was taken in it. One script looks, decides and writes, so that two workers never take
the same tokens. The clock is that of Redis.
"""

from typing import Any

from app.celery import app

KEY = "ai:tokens"
WINDOW = 60  # seconds

# KEYS: the hash. ARGV: the budget, what is wanted, the window. Returns 0 when it was taken; otherwise the seconds after
# which enough of what was taken is older than the window.
TAKE = """
local now, window = tonumber(redis.call('TIME')[1]), tonumber(ARGV[3])
local fields, used, seconds, taken = redis.call('HGETALL', KEYS[1]), 0, {}, {}
for i = 1, #fields, 2 do
  local second = tonumber(fields[i])
  if second <= now - window then
    redis.call('HDEL', KEYS[1], fields[i])
  else
    seconds[#seconds + 1], taken[second] = second, tonumber(fields[i + 1])
    used = used + taken[second]
  end
end
local excess = used + tonumber(ARGV[2]) - tonumber(ARGV[1])
if excess <= 0 then
  redis.call('HINCRBY', KEYS[1], now, ARGV[2])
  redis.call('EXPIRE', KEYS[1], window)
  return 0
end
table.sort(seconds)
for _, second in ipairs(seconds) do
  excess = excess - taken[second]
  if excess <= 0 then return second + window - now end
end
return window
"""


def take(wanted: int, budget: int) -> int:
    """Take `wanted` of the `budget` tokens of a minute; returns 0, or in how many seconds to ask again.

    What is above a whole budget takes all of it. Raises redis-py's errors.
    """
    client: Any = app.backend.client
    return int(client.eval(TAKE, 1, KEY, budget, min(wanted, budget), WINDOW))
