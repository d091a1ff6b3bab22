"""The protocol's service without sockets and workers: what is sent to it stays in this process."""

from pathlib import Path

import msgspec

from hytnas_agent import protocol, wire
from hytnas_agent.journal import Journal
from hytnas_agent.lease import DeviceLease
from hytnas_agent.paths import StateFolder
from hytnas_agent.records import DeviceIdentity, MeasureJob, MeasureSettings, Reference
from hytnas_agent.server.client_lease import ClientLease
from hytnas_agent.server.loop import EventLoop
from hytnas_agent.server.runner import Runner
from hytnas_agent.server.service import Parts, Service
from hytnas_agent.spool import Spool

IDENTITY = DeviceIdentity("id", "host")
MODEL = "a" * 64
JOB = MeasureJob("job", MODEL, "onnx", MeasureSettings(), reference=Reference("b" * 64, "c" * 64, 1.0))

VALID: dict[str, msgspec.Struct] = {
    "hello": protocol.HelloParams(1, 1, "client", "me@here", 7, "0.1.0", "session"),
    "describe": protocol.DescribeParams("onnxruntime", 2),
    "acquire": protocol.AcquireParams("testing", 60.0),
    "heartbeat": protocol.TokenParams(1),
    "spool_stat": protocol.SpoolStatParams((f"{MODEL}.onnx",), 10),
    "spool_commit": protocol.SpoolCommitParams("upload", f"{MODEL}.onnx", 10),
    "measure": protocol.MeasureParams(JOB, 1),
    "result": protocol.ResultParams(("job",)),
    "acknowledge": protocol.JobIdsParams(("job",)),
    "cancel": protocol.CancelParams("job"),
    "doctor": protocol.Nothing(),
    "tune": protocol.TuneParams("plan"),
    "release": protocol.TokenParams(1),
}
"""Parameters of every method that the service has no objection to."""

LINES = [
    wire.encode_request(number, method, params)[:-1] for number, (method, params) in enumerate(VALID.items())
]


class Client:
    """Stands for a connection: keeps what the service sends."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def send(self, line: bytes) -> None:
        self.sent.append(line)

    def close(self) -> None:
        self.closed = True

    def answers(self) -> list[wire.Response | wire.Request]:
        """What was sent so far, read as a host reads it; raises RpcError for what no host understands."""
        sent, self.sent = self.sent, []
        for line in sent:
            assert line.endswith(b"\n")
            assert line.count(b"\n") == 1
        return [wire.decode_reply(line[:-1]) for line in sent]


class QuietService:
    """A service whose runner never starts: jobs and chores wait, and nothing is measured."""

    def __init__(self, root: Path) -> None:
        state = StateFolder(root).create()
        self.journal = Journal(state.journal)
        self.loop = EventLoop()
        self.runner = Runner(
            self.journal,
            IDENTITY,
            (0,),
            timed_lock=state.timed_lock,
            core_speeds=state.core_speeds,
            on_start=lambda queued: None,
            on_end=lambda queued, ending: None,
            on_fault=lambda error: None,
        )
        self.lease = DeviceLease(state.lease)
        client_lease = ClientLease(self.lease, lambda: False)
        spool = Spool(state.spool, state.incoming, self.runner.pinned)
        for name in (f"{MODEL}.onnx", "b" * 64 + ".npz", "c" * 64 + ".npz"):
            (state.spool / name).touch()
        self.parts = Parts(state, IDENTITY, self.loop, self.journal, spool, self.runner, client_lease)
        self.service = Service(self.parts)

    def connect(self) -> Client:
        client = Client()
        self.service.connected(client)
        return client

    def leave(self, client: Client) -> None:
        self.service.disconnected(client)

    def say(self, client: Client, line: bytes | None) -> list[wire.Response | wire.Request]:
        """Let a client send a line; the answers."""
        self.service.received(client, line)
        return client.answers()

    def close(self) -> None:
        self.lease.release()
        self.journal.close()
        self.loop.close()
