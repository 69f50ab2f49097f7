"""A TCP proxy whose port is refused until it is opened: a broker that comes up later, at a known address."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.ports import free_port


class Proxy:
    """Forwards `port` of this host to `target` once it is open."""

    def __init__(self, target):
        self.port, self.target = free_port(), target
        self.sockets = []

    def open(self):
        self.sockets.append(socket.create_server(("127.0.0.1", self.port)))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        for each in self.sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.sockets[0].accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self.sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=_forward, args=pair, daemon=True).start()


def _forward(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
