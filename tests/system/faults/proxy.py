"""A TCP relay between host and board that cuts, freezes, holds back or damages what passes, on command."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Literal, Self

Direction = Literal["up", "down"]
"""Up is from the host to the board."""

Rule = Callable[[Direction, bytes], bytes]
"""Sees every chunk and gives what is passed on of it."""


class Proxy:
    """Relays connections to ``target`` from a loopback port of its own.

    Attributes
    ----------
    port : int
    rule : callable or None
        Called for each chunk, from the relaying threads.
    passed : dict
        Bytes that were passed on in each direction since the last `cut`.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.rule: Rule | None = None
        self.passed: dict[Direction, int] = {"up": 0, "down": 0}
        self.connections = 0
        self._held: set[Direction] = set()
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._frozen: set[socket.socket] = set()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End every connection at once; new ones are welcome."""
        with self._changed:
            self._held.clear()
            self._frozen.clear()
            self.passed.update(up=0, down=0)
            ends, self._open = self._open, set()
            self._changed.notify_all()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def hold(self, *directions: Direction) -> None:
        """Let nothing pass any more, and keep the connections open: packets vanish."""
        with self._changed:
            self._held.update(directions)

    def freeze(self) -> None:
        """Let nothing pass over the present connections ever again; new ones are as good as ever."""
        with self._changed:
            self._frozen |= self._open

    def let_go(self) -> None:
        """Undo `hold`: what was held back arrives."""
        with self._changed:
            self._held.clear()
            self._changed.notify_all()

    def half_close(self) -> None:
        """Tell the host that the board will say no more; the other direction stays open."""
        # All are found first: the host may answer by closing, which closes the other end too.
        for end in [end for end in self._open if end.getsockname()[1] == self.port]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_WR)

    def after(self, direction: Direction, size_bytes: int, act: Callable[[], None]) -> None:
        """Once so many more bytes have passed in this direction, do that, before anything else passes."""
        seen = 0
        done = False

        def rule(way: Direction, data: bytes) -> bytes:
            nonlocal seen, done
            if way == direction and not done:
                seen += len(data)
                if seen >= size_bytes:
                    done = True
                    act()
            return data

        self.rule = rule

    def flip_next(self, direction: Direction, after_bytes: int) -> None:
        """Flip one bit in the chunk that follows so many bytes."""
        seen = 0
        done = False

        def rule(way: Direction, data: bytes) -> bytes:
            nonlocal seen, done
            if way == direction and not done:
                seen += len(data)
                if seen > after_bytes:
                    done = True
                    return data[:-1] + bytes([data[-1] ^ 1])
            return data

        self.rule = rule

    def _accept(self) -> None:
        while True:
            try:
                host, _ = self._listener.accept()
            except OSError:
                return
            try:
                board = socket.create_connection(self._target, 10)
            except OSError:
                host.close()
                continue
            board.settimeout(None)
            self.connections += 1
            threading.Thread(target=self._serve, args=(host, board), daemon=True).start()

    def _serve(self, host: socket.socket, board: socket.socket) -> None:
        with host, board:
            with self._changed:
                self._open |= {host, board}
            upwards = threading.Thread(target=self._relay, args=(host, board, "up"), daemon=True)
            upwards.start()
            self._relay(board, host, "down")
            upwards.join()
            with self._changed:
                self._open -= {host, board}

    def _relay(self, source: socket.socket, sink: socket.socket, way: Direction) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                rule = self.rule
                if rule is not None:
                    data = rule(way, data)
                if not self._passage(source, way):
                    break
                sink.sendall(data)
                self.passed[way] += len(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _passage(self, source: socket.socket, way: Direction) -> bool:
        """Wait until this direction is open; False where the connection has been cut meanwhile."""
        with self._changed:
            self._changed.wait_for(
                lambda: source not in self._open or (way not in self._held and source not in self._frozen)
            )
            return source in self._open
