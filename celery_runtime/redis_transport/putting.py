"""Put a message into its list without a redis-py client of its own, which kombu makes for each: half of the time.

The answer to LPUSH is Redis' confirmation. Read in kombu 5.7.0: kombu/transport/redis.py, `_put` and
`conn_or_acquire`; in redis-py 8.1: redis/client.py, `execute_command`.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as stock


def put_directly() -> None:
    """Let every channel of this process put its messages over a bare connection of its pool."""
    if hasattr(stock.Channel._put, "kombus"):
        return
    kombus = stock.Channel._put

    def put(channel: Any, queue: str, message: Any, **options: Any) -> None:
        # What is held back, or several commands; and redis-py's own retries, which are its client's.
        if options.get("_publish_batch") is not None or queue in channel._expires or not channel.supports_batch_publish:
            kombus(channel, queue, message, **options)
            return
        key = channel._q_for_pri(queue, channel._get_message_priority(message, reverse=False))
        connection = channel.pool.get_connection()
        try:
            connection.send_command("LPUSH", f"{channel.global_keyprefix}{key}", stock.dumps(message))
            connection.read_response()
        except BaseException:
            connection.disconnect()  # its next answer would be this one
            raise
        finally:
            channel.pool.release(connection)

    put.kombus = kombus  # type: ignore[attr-defined]
    stock.Channel._put = put
