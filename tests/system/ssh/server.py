"""OpenSSH's server as an ordinary process on a loopback port: the board is this machine behind it."""

import contextlib
import getpass
import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from hytnas_host.devices.ssh import HostKey, SshSettings

SSHD = "/usr/sbin/sshd"
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
START_TIMEOUT_S = 30.0
CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
{host_keys}
AuthorizedKeysFile {authorized}
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
LogLevel VERBOSE
MaxStartups 100
MaxAuthTries 6
Subsystem sftp internal-sftp
SetEnv HOME={home}
"""


class SshServer:
    """An sshd with a host key and an authorised client key of its own.

    Parameters
    ----------
    folder : Path
        For its keys, configuration and log.
    home : Path, optional
        Home folder of who logs in; by default an empty one, without start-up files of whoever runs the tests.

    Notes
    -----
    `with SshServer(folder) as sshd:` starts and stops it. The port stays the same over `stop` and `start`.
    ``startup`` holds commands of the shell that run before those of each login, as from a ``.bashrc``; set it
    before `start`.
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path, home: Path | None = None) -> None:
        self.folder = folder
        self._home = home or folder / "home"
        self._home.mkdir(exist_ok=True)
        self.user = getpass.getuser()
        self.key_file = make_key(folder / "client")
        self.log_file = folder / "sshd.log"
        self._authorized = folder / "authorized_keys"
        self._host_key_files = [make_key(folder / "host")]
        self._process: subprocess.Popen[bytes] | None = None
        self.startup = ""
        self.authorise(self.key_file)
        self.port = free_port()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def host_key(self) -> HostKey:
        """What a client that trusts this server has pinned."""
        return HostKey.parse(public_line(self._host_key_files[0]))

    @property
    def host_key_line(self) -> str:
        """Its line of a known_hosts file."""
        return f"[{self.host}]:{self.port} {self.host_key}"

    @property
    def settings(self) -> SshSettings:
        """How to reach it, and nothing of the person's own SSH configuration."""
        return SshSettings(
            self.host,
            self.port,
            self.user,
            self.host_key,
            key_files=(str(self.key_file),),
            config_file=self.folder / "no-config",
            agent_socket="none",
        )

    def authorise(self, key_file: Path) -> None:
        """Let the key log in."""
        with self._authorized.open("a") as file:
            file.write(public_line(key_file) + "\n")

    def start(self) -> None:
        """Start it and wait until it answers."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # a root sshd's empty folder
        config = self.folder / "sshd_config"
        host_keys = "\n".join(f"HostKey {file}" for file in self._host_key_files)
        text = CONFIG.format(
            port=self.port, host_keys=host_keys, authorized=self._authorized, home=self._home
        )
        if self.startup:
            text = text.replace("internal-sftp", SFTP_SERVER)
            text += f'ForceCommand {self.startup}; eval "$SSH_ORIGINAL_COMMAND"\n'
        config.write_text(text)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, self.log_file.read_text()
            assert time.monotonic() < deadline, self.log_file.read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """End it and every connection, as when the power goes; programs that were started over it stay."""
        if self._process is not None:
            self._kill([self._process.pid, *self._connections()])
            self._process.wait()
            self._process = None

    def cut(self) -> None:
        """End every connection; new ones are welcome."""
        self._kill(self._connections())

    def freeze(self) -> None:
        """From now on it keeps every connection open and says nothing: a link whose packets vanish."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)  # first, so that nobody new gets in
        for pid in self._connections():
            with contextlib.suppress(ProcessLookupError):  # of an earlier connection, just gone
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        assert self._process is not None
        for pid in (self._process.pid, *self._connections()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def change_host_key(self, *kinds: str) -> None:
        """From now on it is another board under the same address, with one key of each kind (ed25519)."""
        running = self._process is not None
        self.stop()
        names = (self.folder / f"host-{secrets.token_hex(4)}" for _ in kinds or ("ed25519",))
        self._host_key_files = [
            make_key(name, kind=kind) for name, kind in zip(names, kinds or ("ed25519",), strict=True)
        ]
        if running:
            self.start()

    def host_key_of(self, kind: str) -> HostKey:
        """Its key of a kind such as ``ssh-rsa``."""
        keys = [HostKey.parse(public_line(file)) for file in self._host_key_files]
        return next(key for key in keys if key.kind == kind)

    @property
    def connections(self) -> int:
        """How many logins are open."""
        assert self._process is not None
        return sum(parent == self._process.pid for _, parent, _ in _processes())

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 5) as probe:
            return probe.recv(4) == b"SSH-"
        return False

    def _connections(self) -> list[int]:
        """The processes of sshd that serve a connection (each with and without privileges)."""
        assert self._process is not None
        found = [self._process.pid]
        for pid, parent, name in sorted(_processes()):
            if parent in found and name.startswith("sshd"):
                found.append(pid)
        return found[1:]

    @staticmethod
    def _kill(pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new private key at ``path``, its public part beside it."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", path],
        check=True,
        timeout=60,
    )
    return path


def public_line(key_file: Path) -> str:
    """The public part of a private key's file."""
    return key_file.with_name(f"{key_file.name}.pub").read_text().strip()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _processes() -> list[tuple[int, int, str]]:
    """Every process: its id, its parent's and its name; see proc(5)."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
                found.append((int(folder.name), int(rest.split()[1]), name))
    return found
