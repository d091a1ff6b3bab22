"""`hytnas-profile device tune`: shows, asks, sets, takes back."""

import pytest
from typer.testing import CliRunner

from hytnas_agent.protocol import TuneAction, TuneResult, TuneStep
from hytnas_host.cli.app import app


class TunedDevice:
    """A device with one setting that it may or may not set."""

    def __init__(self, *, permitted: bool = True) -> None:
        self.asked: list[TuneAction] = []
        self.permitted = permitted

    def __enter__(self) -> "TunedDevice":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def tune(self, action: TuneAction) -> TuneResult:
        self.asked.append(action)
        if action == "plan":
            return TuneResult((TuneStep("governor of cpu0", "ondemand", "performance"),), ("at work: x (1)",))
        ending = TuneStep("governor of cpu0", "ondemand", "performance", "done")
        refused = TuneStep("governor of cpu0", "ondemand", "performance", "refused", "Do it yourself")
        return TuneResult((ending if self.permitted else refused,))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> TunedDevice:
    device = TunedDevice()
    monkeypatch.setattr("hytnas_host.devices.open_device", lambda name: device)
    return device


@pytest.mark.parametrize(
    ("arguments", "typed", "asked", "status"),
    [
        ((), "y\n", ["plan", "apply"], 0),
        ((), "n\n", ["plan"], 1),
        ((), "", ["plan"], 1),
        (("--yes",), "", ["plan", "apply"], 0),
        (("--undo",), "", ["undo"], 0),
        (("--json",), "", ["plan"], 0),
        (("--json", "--yes"), "", ["plan", "apply"], 0),
    ],
)
def test_nothing_is_set_without_consent(
    device: TunedDevice, arguments: tuple[str, ...], typed: str, asked: list[str], status: int
) -> None:
    ended = CliRunner().invoke(app, ["device", "tune", "pi", *arguments], input=typed)
    assert (device.asked, ended.exit_code) == (asked, status), ended.output
    assert "governor of cpu0" in ended.output


def test_what_is_refused_is_an_error_with_advice(device: TunedDevice) -> None:
    device.permitted = False
    ended = CliRunner().invoke(app, ["device", "tune", "pi", "--yes"])
    assert ended.exit_code == 1
    assert "Do it yourself" in ended.output
