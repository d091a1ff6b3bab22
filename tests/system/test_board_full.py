"""From an SD card without an agent to a data set, on QEMU's Raspberry Pi 3B, which reboots on the way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .board import FullBoard
from .board.host import Host
from .board.study import (
    SMALL,
    WORDS,
    assert_complete,
    assert_nothing_waits,
    assert_recognised,
    assert_says_emulated,
)

pytestmark = pytest.mark.board_full

MODELS = 2
PATIENCE = ("--deadline-s", 1200)  # an inference takes seconds there, and the start of a process many more


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.close()


def test_a_reboot_in_the_middle_costs_a_collection_nothing(full_board: FullBoard, host: Host) -> None:
    name = full_board.name
    assert "Raspberry Pi 3 Model B" in host.enrol(full_board)
    host.run("device", "provision", name, "--runtime", "onnxruntime", "--systemd", timeout_s=2400)
    # As provisioning advises where users may not: else a login starts the services, and its end stops them.
    full_board.ssh("sudo loginctl enable-linger pi", check=True)
    assert_recognised(full_board)
    examined = host.run("device", "doctor", name)
    assert WORDS in examined
    assert "runs a model" in examined

    study = host.folder / "study"
    models = (*SMALL, "--n", MODELS, "--processes", 1)
    command = ("collect", "latency", "--device", name, "--study", study, *models, *PATIENCE)
    collection = host.start(*command)
    collection.wait_until_it_says(f": 1/{2 * MODELS}", 1200)
    boot = full_board.boot_id()
    full_board.ssh("sudo systemctl reboot")
    full_board.wait_for_reboot(boot)
    # It waits for the board by itself for minutes, and says what to do where that has not been enough.
    if collection.wait(1800) != 0:
        assert "run the same command again" in collection.said
        host.run(*command, timeout_s=1800)

    assert_complete(study, models=MODELS, processes=1)
    assert_nothing_waits([full_board], study)
    assert_says_emulated(host, study)
