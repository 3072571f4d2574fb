"""The coordinator's end of the wire: one port for clients and for people's programs."""

from __future__ import annotations

from grpc import aio

from flnb.core.errors import PlanError
from flnb.tensors import keep_freed_memory
from flnb.transport.allocator import MESSAGE_BYTES
from flnb.transport.answering import Answering
from flnb.transport.certs import ServerCertificate
from flnb.transport.control import Control, Controls
from flnb.transport.convert import address_of, is_loopback, try_port
from flnb.transport.federation import Federation
from flnb.transport.handshake import Shown, server_credentials
from flnb.transport.hub import Hub
from flnb.transport.limits import Limits, server_options
from flnb.transport.sturdy import sturdy_server


class Server:
    """Serves over gRPC, on the running loop.

    Args:
        hub: Owns the state that clients see.
        limits: Bounds.
        controls: Answers people's programs; without it they are not served.
    """

    def __init__(self, hub: Hub, limits: Limits, controls: Controls | None = None) -> None:
        self._answering, self._controls = Answering(limits), controls
        self._services: list[Federation | Control] = [Federation(hub, self._answering)]
        if controls is not None:
            self._services.append(Control(controls, self._answering))
        self._server: aio.Server | None = None

    async def start(
        self,
        host: str,
        port: int,
        tls: ServerCertificate | Shown | None = None,
        client_ca: bytes | None = None,
    ) -> int:
        """Listen.

        Args:
            host: Address of this machine to listen on.
            port: 0 takes any free one.
            tls: Own certificate, or what gives the newest one; without it only loopback is allowed.
            client_ca: Take only clients with a certificate of this authority (PEM).

        Returns:
            The port.

        Raises:
            PlanError: The port is taken, the address not this machine's, or TLS is missing.
        """
        if tls is None and (client_ca is not None or not is_loopback(host)):
            raise PlanError(
                f"a coordinator on {host} must not listen without TLS",
                hint="give it a certificate, or listen on 127.0.0.1",
            )
        await try_port(host, port)
        keep_freed_memory(MESSAGE_BYTES)
        limits = self._answering.limits
        # The bound is for whoever no other has stopped; the others refuse with better words.
        server = sturdy_server(server_options(limits), 4 * limits.clients)
        for service in self._services:
            server.add_registered_method_handlers(*service.handlers())
        address = address_of(host, port)
        try:
            if tls is None:
                bound = server.add_insecure_port(address)
            else:
                credentials = server_credentials(tls, client_ca)
                bound = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise PlanError(f"cannot listen on {address}: {error}") from error
        await server.start()
        self._server = server
        return bound

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, wait for the open ones, then end them and free the port.

        Args:
            grace_s: How long to wait. Sessions do not end by themselves: say goodbye first.
        """
        server, self._server = self._server, None
        if self._controls is not None:
            await self._controls.close()
        if server is not None:
            await server.stop(grace_s)
        await self._answering.drained(within_s=5.0)
