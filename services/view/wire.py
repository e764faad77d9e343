"""An open answer that is written to without waiting and without a task of its own.

aiohttp's ``write`` is a coroutine: for a thousand screens that each get a few hundred bytes four
times a second, waking a task for each costs more than everything that is computed for them. The
answer's beginning and its end stay aiohttp's; between them the chunks of RFC 9112, section 7.1, go
straight to the transport.
"""

import asyncio

from aiohttp import web
from aiohttp.http import HttpVersion11


class Wire:
    """What is written between the beginning and the end of one answer."""

    def __init__(self, transport: asyncio.WriteTransport, *, chunked: bool) -> None:
        self._transport, self._chunked = transport, chunked

    @property
    def closed(self) -> bool:
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send some bytes, or keep them until the client takes them."""
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._transport.write(data)

    def waiting(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._transport.get_write_buffer_size()


async def begin(request: web.Request, response: web.StreamResponse, first: bytes) -> Wire:
    """Send the head of an answer and its first bytes. Raises ConnectionError."""
    chunked = request.version >= HttpVersion11
    if chunked:
        response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(first)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    return Wire(transport, chunked=chunked)
