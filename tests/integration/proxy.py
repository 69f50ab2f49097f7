"""A TCP proxy whose port is refused until it is opened: a broker that comes up later, at a known address.

It can also hold up or cut off what a client says.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.ports import free_port


class Proxy:
    """Forwards `port` of this host to `target` once it is open.

    listen: called with what a client sent, before it is forwarded; it may wait, or return True to cut the client off
    once it was.
    """

    def __init__(self, target, listen=None):
        self.port, self.target, self.listen = free_port(), target, listen
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
                for direction in ((client, server, self.listen), (server, client, None)):
                    threading.Thread(target=_forward, args=direction, daemon=True).start()


def _forward(source, sink, listen):
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            cut = listen(data) if listen else False
            if cut:
                source.shutdown(socket.SHUT_RDWR)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
