"""Enrolling a board and looking after it by command, over OpenSSH's own server."""

import json
import platform
import re
import subprocess
import sys

import msgspec
import pytest
from typer.testing import CliRunner, Result

from hytnas_agent import __version__
from hytnas_host.cli.app import app
from hytnas_host.devices.inventory import Inventory

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def own_configuration(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HYTNAS_DEVICES", str(tmp_path / "devices.toml"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def run(*words: str, **more) -> Result:
    return CliRunner().invoke(app, ["device", *words], **more)


@pytest.fixture
def enrol(sshd):
    address = f"{sshd.user}@{sshd.host}:{sshd.port}"

    def enrol(*words: str, key: str = str(sshd.key_file), **more) -> Result:
        return run("enrol", address, "--key", key, *words, **more)

    return enrol


@pytest.fixture
def agent_ends(tmp_path):
    """Ends the agent that a test has started."""
    yield
    command = [sys.executable, "-P", "-m", "hytnas_agent", "--state", str(tmp_path / "agent"), "stop"]
    subprocess.run(command, check=True, timeout=60, capture_output=True)


def give_agent(tmp_path, name: str = "shelf") -> None:
    """As provisioning does at its end."""
    inventory = Inventory()
    agent = (sys.executable, "-P", "-m", "hytnas_agent")
    entry = msgspec.structs.replace(inventory.get(name), agent=agent, state=str(tmp_path / "agent"))
    inventory.put(entry)


def test_board_is_pinned_and_recorded(enrol, sshd):
    done = enrol("--name", "shelf", "--fingerprint", sshd.host_key.fingerprint)
    assert done.exit_code == 0, done.output
    assert "enrolled shelf" in done.output
    assert "device provision shelf" in done.output
    entry = Inventory().get("shelf")
    assert entry.host_key == str(sshd.host_key)
    assert (entry.host, entry.port, entry.user) == (sshd.host, sshd.port, sshd.user)
    assert entry.python
    assert entry.architecture == platform.machine()
    assert re.fullmatch(r"[0-9a-f]{32}", entry.enrolment_id)
    assert entry.agent == ()


def test_nobody_there_to_confirm_is_wrong_usage_and_pins_nothing(enrol, sshd):
    done = enrol()
    assert done.exit_code == 2
    assert sshd.host_key.fingerprint in done.output
    assert "--fingerprint" in done.output
    assert Inventory().entries() == {}
    assert "publickey" not in sshd.log_file.read_text()


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_person_is_shown_the_fingerprint_and_asked(enrol, sshd, monkeypatch, answer, status):
    monkeypatch.setattr("hytnas_host.cli.enrol._someone_is_there", lambda: True)
    done = enrol(input=answer)
    assert done.exit_code == status, done.output
    assert sshd.host_key.fingerprint in done.output
    assert list(Inventory().entries()) == (["127.0.0.1"] if status == 0 else [])


def test_other_fingerprint_is_refused(enrol, sshd):
    done = enrol("--fingerprint", "SHA256:other")
    assert done.exit_code == 1
    assert f"presents {sshd.host_key.fingerprint}, not SHA256:other" in done.output
    assert Inventory().entries() == {}


def test_board_that_refuses_the_login_is_not_recorded(enrol, tmp_path):
    done = enrol("--yes", key=str(tmp_path / "absent"))
    assert done.exit_code == 1
    assert "absent: not there" in done.output
    assert Inventory().entries() == {}


def test_replacing_pins_the_new_key_and_forgets_the_old_agent(enrol, sshd, tmp_path):
    assert enrol("--name", "shelf", "--yes").exit_code == 0
    give_agent(tmp_path)
    again = enrol("--name", "shelf", "--yes")
    assert again.exit_code == 1
    assert "--replace" in again.output
    assert enrol("--name", "shelf", "--replace").exit_code == 0  # the key is the pinned one: nothing to ask
    assert Inventory().get("shelf").agent
    old = sshd.host_key.fingerprint
    sshd.change_host_key()
    refused = run("doctor", "shelf")
    assert refused.exit_code == 1
    assert old in refused.output
    assert sshd.host_key.fingerprint in refused.output
    assert enrol("--name", "shelf", "--replace").exit_code == 2
    replaced = enrol("--name", "shelf", "--replace", "--yes")
    assert replaced.exit_code == 0
    assert old in replaced.output
    entry = Inventory().get("shelf")
    assert (entry.host_key, entry.agent) == (str(sshd.host_key), ())


def test_same_board_twice_is_warned_of(enrol):
    assert enrol("--name", "shelf", "--yes").exit_code == 0
    second = enrol("--name", "desk", "--yes")
    assert second.exit_code == 0
    assert "enrolled as shelf too" in second.output


@pytest.mark.parametrize("name", ["local", "Shelf", "a b"])
def test_name_that_cannot_be_taken_is_refused_before_anything_is_sent(enrol, sshd, name):
    sshd.stop()  # whoever connects first is told of that
    done = enrol("--name", name, "--yes")
    assert done.exit_code == 1
    assert "name" in done.output
    assert "refuses the connection" not in done.output


def test_list_tells_what_is_known(enrol, tmp_path, agent_ends):
    assert enrol("--name", "shelf", "--yes").exit_code == 0
    assert "none yet" in run("list").output
    give_agent(tmp_path)
    assert run("describe", "shelf").exit_code == 0
    listed = {device["name"]: device for device in json.loads(run("list", "--json").output)}
    assert listed["local"]["built_in"] is True
    shelf = listed["shelf"]
    assert (shelf["provisioned"], shelf["agent_version"]) == (True, __version__)
    assert shelf["context"]["runtime"] in run("list").output
    assert run("remove", "shelf").exit_code == 0
    assert "shelf" not in run("list").output
    assert run("remove", "shelf").exit_code == 1


def checks_of(name: str = "shelf") -> dict[str, dict[str, str]]:
    done = run("doctor", name, "--json")
    found = {check["name"]: check for check in json.loads(done.output)}
    assert done.exit_code == int(any(check["status"] == "fail" for check in found.values()))
    return found


def test_doctor_says_how_far_it_gets_and_what_to_do(enrol, sshd, tmp_path):
    assert enrol("--name", "shelf", "--yes").exit_code == 0
    checks = checks_of()
    assert [checks[name]["status"] for name in ("connection", "host key", "login")] == ["ok"] * 3
    assert (checks["agent"]["status"], checks["agent"]["advice"]) == (
        "fail",
        "Install it with: hytnas-profile device provision shelf",
    )
    inventory = Inventory()
    broken = msgspec.structs.replace(inventory.get("shelf"), agent=("/no/such/agent",))
    inventory.put(broken)
    assert "/no/such/agent does not run" in checks_of()["agent"]["found"]
    inventory.put(msgspec.structs.replace(broken, agent=("echo", "hytnas-agent 9.9"), state=None))
    assert checks_of()["agent"]["status"] == "warn"
    inventory.put(msgspec.structs.replace(broken, key_files=(str(tmp_path / "absent"),)))
    checks = checks_of()
    assert (list(checks)[-1], checks["login"]["status"]) == ("login", "fail")
    sshd.stop()
    checks = checks_of()
    assert list(checks) == ["connection"]
    assert "refuses the connection" in checks["connection"]["found"]
    assert checks["connection"]["advice"]


def test_doctor_asks_the_agent_and_knows_the_board_again(enrol, tmp_path, agent_ends):
    assert enrol("--name", "shelf", "--yes").exit_code == 0
    give_agent(tmp_path)
    checks = checks_of()
    assert checks["agent"]["found"] == f"version {__version__}, as this host"
    assert checks["identity"]["status"] == "ok"
    assert "disk" in checks
    inventory = Inventory()
    inventory.put(msgspec.structs.replace(inventory.get("shelf"), device_id="0" * 16))
    checks = checks_of()
    assert checks["identity"]["status"] == "fail"
    assert "--replace" in checks["identity"]["advice"]
