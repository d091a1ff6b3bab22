"""Start of a worker: confine the process, then measure, then answer over the result pipe."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import traceback

import msgspec

from hytnas_agent.limits import at_most
from hytnas_agent.records import Outcome
from hytnas_agent.worker.messages import Report, WorkerMessage, WorkerRequest

PR_SET_PDEATHSIG = 1
MAX_FILE_BYTES = 64 * 1024 * 1024


def confine(request: WorkerRequest) -> None:
    """Die with the agent, keep to the cores, bound memory and files, be the first that the kernel kills."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != request.agent_pid:
        raise SystemExit("the agent is gone")
    if request.cores:
        os.sched_setaffinity(0, request.cores)
    at_most(resource.RLIMIT_DATA, request.data_limit_bytes)
    at_most(resource.RLIMIT_CORE, 0)
    at_most(resource.RLIMIT_FSIZE, MAX_FILE_BYTES)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def main() -> None:
    """Measure what standard input asks for; standard output is sent to standard error."""
    result_fd = int(sys.argv[1])
    os.set_inheritable(result_fd, False)
    os.dup2(2, 1)

    def emit(message: WorkerMessage) -> None:
        line = memoryview(msgspec.json.encode(message) + b"\n")
        while line:
            line = line[os.write(result_fd, line) :]

    request = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerRequest)
    confine(request)
    try:
        from hytnas_agent.worker.measure import measure  # noqa: PLC0415 (numpy is imported under the limits)

        report = measure(request, emit)
    except MemoryError:
        report = Report(Outcome.OOM, "the worker ran out of memory")
    except Exception as error:
        traceback.print_exc()
        report = Report(Outcome.INTERNAL, f"{type(error).__name__}: {error}")
    emit(report)
    # A runtime that crashes while it is torn down must not spoil a finished measurement.
    os._exit(0)


if __name__ == "__main__":
    main()
