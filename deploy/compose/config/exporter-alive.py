"""Whether the exporter answers over HTTP. Not `/metrics`, which asks every worker, nor a connection alone: the kernel
accepts one for a process that is frozen. Bare sockets, because this runs every few seconds.
"""

import socket

with socket.create_connection(("127.0.0.1", 9808), timeout=3) as connection:
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    status = connection.recv(64)
raise SystemExit(b" 200 " not in status)
