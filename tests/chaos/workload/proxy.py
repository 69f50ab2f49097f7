"""Stand between a worker and its broker; on SIGUSR1 fall silent without closing anything: `python proxy.py HOST PORT`.

The connections of that moment stay open on both sides and carry nothing any more, new ones work: half-open, as a NAT
table that was flushed leaves them. It is harder than dropped packets: the kernel here goes on acknowledging, so that no
keep-alive of TCP notices.
"""

from __future__ import annotations

import asyncio
import signal
import sys

pumps = set()
kept = []  # both ends of every connection: what nobody refers to would be closed


async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def accept(reader, writer):
    broker_reader, broker_writer = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    kept.append((reader, writer, broker_reader, broker_writer))
    for task in (pump(reader, broker_writer), pump(broker_reader, writer)):
        pumps.add(asyncio.create_task(task))


def fall_silent():
    for task in pumps:
        task.cancel()
    pumps.clear()
    print("silent", flush=True)


async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, fall_silent)
    server = await asyncio.start_server(accept, None, int(sys.argv[2]))
    print("proxy ready.", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
