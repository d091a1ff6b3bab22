"""What a doctor on this host makes of an agent's findings."""

from hytnas_agent.protocol import Check
from hytnas_host.devices.doctor import advise

WORKS = Check("runtime onnxruntime", "ok", "1.26.0 runs a model")
ABSENT = Check("runtime tflite-runtime", "warn", "no such module", "pip install 'hytnas[tflite]'")
LOAD = Check("load", "warn", "0.9 over the last minute", "Wait")


def test_a_runtime_comes_onto_a_board_by_provisioning_it_with_those_that_work() -> None:
    works, absent, load = advise("pi", [WORKS, ABSENT, LOAD])
    assert (works, load) == (WORKS, LOAD)
    assert absent.found == ABSENT.found
    assert absent.advice == (
        "Install it with: hytnas-profile device provision pi --runtime onnxruntime --runtime tflite-runtime"
    )
