"""Runs a command that shall not outlive the tests: python guard.py COMMAND...

The command is killed when this process's standard input ends, which the kernel sees to however the tests
end, and when this process is killed itself. (The kernel's parent-death signal alone will not do: it fires
when the *thread* ends that started the child.) This process ends after the last of the command's processes.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

_PR_SET_CHILD_SUBREAPER = 36


def _kill_at_end_of_input(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    process.kill()


def main() -> int:
    # Ctrl-C is for the tests, which stop the board in order. A handler, because SIG_IGN would be inherited.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, lambda *_: None)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # whose parent died becomes a child of this process
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *sys.argv[1:]], stdin=subprocess.DEVNULL)
    threading.Thread(target=_kill_at_end_of_input, args=(process,), daemon=True).start()
    status = process.wait()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    return status


if __name__ == "__main__":
    sys.exit(main())
