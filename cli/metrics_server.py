"""The HTTP server of the metrics: bound before anything is started, so that a taken port is one clear line."""

import errno
import socket
import socketserver
import threading
from http.server import ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import MetricsHandler

from config.load import VARIABLES, ConfigError

POLL_S = 0.05
CLIENT_WAITS_S = 5.0
"""A client that says nothing for this long is let go: its thread must not stay for ever."""


class MetricsServer:
    """Answers every GET with the registry's text, on threads of its own.

    Args:
        host: a name or an address of this host.
        port: 0 for any that is free.
        registry: what is shown.

    Raises:
        ConfigError: nothing can listen there.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        base = MetricsHandler.factory(registry)
        handler = type("Handler", (base,), {"timeout": CLIENT_WAITS_S})
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            self._server = _server(found[0], (host, port), handler)
        except socket.gaierror as error:
            said = f"{error.strerror or error}: give an address of this host, such as 127.0.0.1 or 0.0.0.0"
            raise ConfigError(f"{VARIABLES['metrics_host']}={host}: {said}") from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                said = f"{error.strerror}: give an address of this host, such as 127.0.0.1 or 0.0.0.0"
                raise ConfigError(f"{VARIABLES['metrics_host']}={host}: {said}") from None
            said = f"cannot listen on {host}: {error.strerror or error}; give another port, or 0 for any that is free"
            raise ConfigError(f"{VARIABLES['metrics_port']}={port}: {said}") from None
        self._host = f"[{host}]" if ":" in host else host
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(POLL_S), name="metrics", daemon=True)

    @property
    def url(self) -> str:
        """Where the metrics are."""
        return f"http://{self._host}:{self._server.server_address[1]}/metrics"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; who is being answered is not waited for."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        """Bind without asking a name server what this host is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away or kept silent is no news."""


def _server(family: int, address: tuple[str, int], handler: type[MetricsHandler]) -> _Server:
    kind = type("Server", (_Server,), {"address_family": family})
    server: _Server = kind(address, handler)
    return server
