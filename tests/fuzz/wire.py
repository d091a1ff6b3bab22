"""Coverage-guided fuzzing of what reads the protocol, on both ends (https://github.com/google/atheris).

    make fuzz FUZZ_SECONDS=60

Nothing may come out but typed messages and `RpcError`. The seeds in ``corpus`` are requests, answers and a
notification, one a file; what the fuzzer finds interesting is added to a folder outside the repository.
"""

import sys

import atheris

with atheris.instrument_imports(include=["hytnas_agent"]):
    from hytnas_agent.protocol import METHODS, RpcError
    from hytnas_agent.wire import (
        LineSplitter,
        Response,
        decode_params,
        decode_reply,
        decode_request,
        decode_result,
        decode_version,
    )

LIMIT_BYTES = 4096


def read_everything(data: bytes) -> None:
    """Take the bytes as a stream, in two pieces, and read each line as either end would."""
    splitter = LineSplitter(LIMIT_BYTES)
    half = len(data) // 2
    for piece in (data[:half], data[half:], b"\n"):
        for line in splitter.feed(piece):
            if line is None:
                continue
            assert len(line) <= LIMIT_BYTES
            read_as_agent(line)
            read_as_host(line)


def read_as_agent(line: bytes) -> None:
    """What the agent does with a line, short of acting on it."""
    try:
        request = decode_request(line)
        if request.method == "hello":
            decode_version(request.params)
        assert isinstance(decode_params(request), METHODS[request.method][0])
    except RpcError:
        return


def read_as_host(line: bytes) -> None:
    """What the host does with a line."""
    try:
        reply = decode_reply(line)
    except RpcError:
        return
    if isinstance(reply, Response):
        for _, kind in METHODS.values():
            try:
                assert isinstance(decode_result(reply, kind), kind)
            except RpcError:
                continue


if __name__ == "__main__":
    atheris.Setup(sys.argv, read_everything)
    atheris.Fuzz()
