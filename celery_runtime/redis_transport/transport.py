"""kombu's Redis transport with channels that claim, and the poller that drives their connections.

Read in kombu 5.7.0: kombu/transport/redis.py, MultiChannelPoller and Transport.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import Any

from kombu import transport as kombu_transport
from kombu.log import get_logger
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as stock

from celery_runtime.redis_transport.channel import Channel, SentinelChannel

logger = get_logger(__name__)


class Poller(stock.MultiChannelPoller):  # type: ignore[misc]
    def on_poll_start(self) -> None:
        for channel in list(self._channels):
            if not channel._in_poll and (channel.held.acks or channel.active_queues):
                self._register_BRPOP(channel)
            for waiter in channel.claims.waiters_to_start():
                if not self._client_registered(channel, waiter.client, waiter.name):
                    self._register(channel, waiter.client, waiter.name)
                waiter.start()
            if channel.active_fanout_queues:
                self._register_LISTEN(channel)

    def maybe_restore_messages(self) -> None:
        """Sweep the queues of every channel: kombu's have one place for all queues."""
        for channel in list(self._channels):
            if not channel.active_queues:
                continue
            try:
                channel.qos.restore_visible(interval=channel.unacked_restore_throttle)
            except channel.connection_errors as error:  # told by the connection that claims
                logger.debug("the sweep has to wait: %s", error)

    def forget(self, channel: Any, client: Any, name: str) -> None:
        """Stop watching a connection, before it is closed."""
        sock = self._chan_to_sock.pop((channel, client, name), None)
        if sock is not None and sock.fileno() in self._fd_to_chan:
            del self._fd_to_chan[sock.fileno()]
            self._unregister_from_poll(sock.fileno())

    def on_readable(self, fileno: int) -> None:
        channel, name = self._fd_to_chan.get(fileno, (None, ""))
        if channel is None:
            return
        connection = channel.claims.unasked(name)
        if connection is not None:  # the server closed it
            connection.disconnect()
        else:
            channel.handlers[name]()

    def maybe_check_brpop_health(self) -> None:
        """Drop connections whose answer is overdue: no socket time-out applies while the loop waits."""
        for channel in self._channels:
            if not channel.health_check_interval:
                continue
            oldest = monotonic() - channel.health_check_interval - (channel.brpop_timeout or 0)
            for connection, sent in channel.claims.under_way():
                silent = connection._sock is not None and not stock._socket_readable(connection._sock)
                if sent < oldest and silent:
                    logger.warning("no answer from Redis for %.0f s: connecting again", monotonic() - sent)
                    connection.disconnect()


class Transport(stock.Transport):  # type: ignore[misc]
    Channel = Channel
    loop: Any = None  # kombu's Hub, when one turns the channels instead of drain_events()
    _tick: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = Poller()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        before = set(loop.on_tick)
        super().register_with_event_loop(connection, loop)
        for callback in set(loop.on_tick) - before:
            loop.on_tick.discard(callback)
        self.loop, self._tick = loop, partial(self._turn, loop)
        loop.on_tick.add(self._tick)

    def close_connection(self, connection: Any) -> None:
        """Leave the loop, which kombu's transports of lost connections do not."""
        if self.loop is not None:
            self.loop.on_tick.discard(self._tick)
        super().close_connection(connection)

    def _turn(self, loop: Any) -> None:
        """Like kombu's, which registers every connection anew in every turn: two system calls each."""
        self.cycle.on_poll_start()
        for fileno in self.cycle.fds:
            if fileno not in loop.readers:
                loop.add_reader(fileno, self.on_readable, fileno)


class SentinelTransport(Transport, stock.SentinelTransport):  # type: ignore[misc]
    Channel = SentinelChannel


def use_claims() -> None:
    """Let every connection to Redis that this process opens from now on claim its messages."""
    path = f"{__name__}:"
    for alias, name in (("redis", "Transport"), ("rediss", "Transport"), ("sentinel", "SentinelTransport")):
        TRANSPORT_ALIASES[alias] = path + name
        kombu_transport._transport_cache.pop(alias, None)
