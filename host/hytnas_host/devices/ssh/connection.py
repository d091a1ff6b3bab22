"""One authenticated SSH connection, through jump hosts if need be, that notices when its link is dead."""

import contextlib
import socket
import threading

import paramiko

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.errors import SshLostError
from hytnas_host.devices.ssh.hostkeys import HostKey, check_known, check_pinned, known_keys
from hytnas_host.devices.ssh.login import log_in
from hytnas_host.devices.ssh.route import Endpoint, plan_route
from hytnas_host.devices.ssh.settings import SshSettings

ENDING_S = 0.3


class SshConnection:
    """An open connection to a device; made by ``open_connection``.

    Parameters
    ----------
    endpoint : Endpoint
        The device.
    transport : paramiko.Transport
    hops : list of paramiko.Transport
        Connections to jump hosts that this one runs through, ended with it.
    """

    def __init__(
        self, endpoint: Endpoint, transport: paramiko.Transport, hops: list[paramiko.Transport]
    ) -> None:
        self.endpoint = endpoint
        self.transport = transport
        self._lost_because = ""
        self._hops = hops
        self._closed = threading.Event()

    @property
    def alive(self) -> bool:
        """Whether it can still be used, as far as is known."""
        return self.transport.is_active()

    def has_ended(self) -> bool:
        """Whether it is over, asked where a channel has just ended: the connection's end follows that."""
        self.transport.join(ENDING_S)
        return not self.alive

    def watch(self, every_s: float, limit_s: float) -> None:
        """Ask for a sign of life every so often, and end the connection where none comes in time."""
        threading.Thread(target=self._watch, args=(every_s, limit_s), name="ssh-watch", daemon=True).start()

    def close(self) -> None:
        """End it, and everything that runs over it."""
        self._closed.set()
        for transport in (self.transport, *reversed(self._hops)):
            transport.close()

    def epitaph(self) -> str:
        """How the connection ended, as far as is known."""
        return f"lost {self.endpoint}: {self._lost_because or 'the connection ended'}"

    def lost(self, doing: str, error: Exception) -> SshLostError:
        """What to raise where something broke with ``error``: the connection, or that alone."""
        if self.has_ended():
            return SshLostError(f"{doing}: {self.epitaph()}", "Check its power and its network")
        why = str(error) or "it ended that"
        return SshLostError(
            f"{doing}: {self.endpoint} is still connected, but {why}",
            "Check that the board is not overloaded",
        )

    def _watch(self, every_s: float, limit_s: float) -> None:
        while not self._closed.wait(every_s) and self.alive:
            overdue = threading.Timer(limit_s, self._give_up, (limit_s,))
            overdue.daemon = True
            overdue.start()
            try:
                # A server answers a request it does not know too: RFC 4254, section 4.
                self.transport.global_request("keepalive@openssh.com", wait=True)
            except (paramiko.SSHException, EOFError, OSError):
                return
            finally:
                overdue.cancel()

    def _give_up(self, limit_s: float) -> None:
        if not self._closed.is_set():
            self._lost_because = f"no sign of life for {limit_s:g} s"
            self.close()


class _Transport(paramiko.Transport):
    """One whose failures are all of SSH: paramiko lets out what went wrong in reading a malformed message."""

    def get_exception(self) -> Exception | None:
        error = super().get_exception()
        if error is None or isinstance(error, paramiko.SSHException | EOFError | OSError):
            return error
        broken = paramiko.SSHException(f"a malformed message: {error}")
        broken.__cause__ = error
        return broken


def open_connection(settings: SshSettings) -> SshConnection:
    """Connect, check the host key, log in.

    Raises
    ------
    SshLostError
        The device cannot be reached now.
    HostKeyError, LoginError, DeviceError
        Trying again would not help.
    """
    route = plan_route(settings)
    hops: list[paramiko.Transport] = []
    try:
        transport = _dial(route, settings, hops, settings.host_key)
        hops.append(transport)
        check_pinned(_presented(transport, route[-1]), settings.host_key, str(route[-1]))
        log_in(transport, route[-1])
    except BaseException:
        for opened in reversed(hops):
            opened.close()
        raise
    connection = SshConnection(route[-1], transport, hops[:-1])
    connection.watch(route[-1].keepalive_s, route[-1].keepalive_limit_s)
    return connection


def scan_host_key(settings: SshSettings, kind: str | None = None) -> HostKey:
    """The host key that a device presents, before anybody trusts it; nothing is sent to it.

    Parameters
    ----------
    settings : SshSettings
    kind : str, optional
        The type of key to ask for first.

    Raises
    ------
    SshLostError, DeviceError
    """
    route = plan_route(settings)
    hops: list[paramiko.Transport] = []
    try:
        transport = _dial(route, settings, hops, None if kind is None else HostKey(kind, ""))
        hops.append(transport)
        return _presented(transport, route[-1])
    finally:
        for opened in reversed(hops):
            opened.close()


def _dial(
    route: tuple[Endpoint, ...],
    settings: SshSettings,
    hops: list[paramiko.Transport],
    preferred: HostKey | None,
) -> paramiko.Transport:
    """A handshaken connection to the last host of the route; those before it are added to ``hops``."""
    *jumps, device = route
    sock: socket.socket | paramiko.Channel | None = None
    for jump, following in zip(jumps, route[1:], strict=True):
        known = known_keys(jump.known_as, jump.port, jump.known_hosts)
        sock = _tcp(jump, settings) if sock is None else sock
        transport = _handshake(sock, jump, settings, known)
        hops.append(transport)
        check_known(_presented(transport, jump), known, str(jump))
        log_in(transport, jump)
        sock = _through(transport, jump, following, settings)
    sock = _tcp(device, settings) if sock is None else sock
    return _handshake(sock, device, settings, () if preferred is None else (preferred,))


def _tcp(endpoint: Endpoint, settings: SshSettings) -> socket.socket:
    try:
        return socket.create_connection((endpoint.host, endpoint.port), settings.connect_timeout_s)
    except ValueError as error:  # e.g. an empty label, which no name server is asked for
        raise DeviceError(f"{endpoint.host!r} is no host name: {error}", "Check the spelling") from error
    except socket.gaierror as error:
        raise SshLostError(
            f"the host name {endpoint.host} is not known ({error.strerror})",
            "Check the spelling, that the board is on, and that this machine is in its network",
        ) from error
    except ConnectionRefusedError as error:
        raise SshLostError(
            f"{endpoint} refuses the connection", "Check that SSH is enabled on the board, and the port"
        ) from error
    except TimeoutError as error:
        raise SshLostError(
            f"{endpoint} does not answer within {settings.connect_timeout_s:g} s",
            "Check the board's power and network",
        ) from error
    except OSError as error:
        raise SshLostError(
            f"{endpoint} cannot be reached: {error.strerror}", "Check the board's power and network"
        ) from error


def _through(
    transport: paramiko.Transport, jump: Endpoint, target: Endpoint, settings: SshSettings
) -> paramiko.Channel:
    try:
        return transport.open_channel(
            "direct-tcpip",
            (target.host, target.port),
            ("127.0.0.1", 0),
            timeout=settings.connect_timeout_s,
        )
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise SshLostError(
            f"{target} cannot be reached from the jump host {jump}: {error}",
            "Check the board's power and network, and that the jump host allows forwarding",
        ) from error


def _handshake(
    sock: socket.socket | paramiko.Channel,
    endpoint: Endpoint,
    settings: SshSettings,
    expected: tuple[HostKey, ...],
) -> paramiko.Transport:
    """Agree on keys, preferring the types of host key that are expected."""
    transport = _Transport(sock)
    transport.banner_timeout = transport.handshake_timeout = settings.connect_timeout_s
    transport.auth_timeout = settings.connect_timeout_s
    # A board that starts its user's services at a login may take long before it opens the session.
    transport.channel_timeout = settings.io_timeout_s
    options = transport.get_security_options()
    first = [name for key in expected for name in key.algorithms if name in options.key_types]
    options.key_types = tuple(dict.fromkeys((*first, *options.key_types)))
    try:
        transport.start_client(timeout=3 * settings.connect_timeout_s)
    except paramiko.ssh_exception.IncompatiblePeer as error:
        transport.close()
        raise DeviceError(
            f"{endpoint} and this host have no SSH algorithm in common: {error}", "Upgrade the older of both"
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        transport.close()
        raise SshLostError(
            f"{endpoint} broke off the SSH handshake: {str(error) or 'end of the stream'}",
            "Check that an SSH server listens there, and that the board is not overloaded",
        ) from error
    except BaseException:
        transport.close()
        raise
    return transport


def _presented(transport: paramiko.Transport, endpoint: Endpoint) -> HostKey:
    with contextlib.suppress(paramiko.SSHException):
        return HostKey.of(transport.get_remote_server_key())
    raise SshLostError(f"{endpoint} did not finish the SSH handshake in time", "Try again")
