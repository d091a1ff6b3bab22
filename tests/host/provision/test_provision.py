"""Provisioning a folder of this machine that stands for a board: real pip and environments, tiny wheels."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hytnas_host.devices.ssh import SshLostError
from hytnas_host.devices.ssh.errors import LoginError
from hytnas_host.provision import Provisioned, ProvisionError, ProvisionOptions, provision, unprovision

from .conftest import PYTHON, Cut, Done, LocalShell, make_agent_wheel, make_wheel

FACTS = f"{PYTHON} -I -"


@pytest.fixture
def bring(shell: LocalShell, index: Path, cache: Path, tmp_path: Path) -> Callable[..., Provisioned]:
    """Provision the board with a version of the tiny agent."""

    def call(version: str = "0.1.0", **changes: object) -> Provisioned:
        hold = changes.pop("hold", None)
        options = {
            "runtimes": ("onnxruntime",),
            "python": PYTHON,
            "wheel": make_agent_wheel(tmp_path / "own", version),
            "wheel_folder": index,
        } | changes
        extra = {"hold": hold} if hold else {}
        return provision(shell, "pi", ProvisionOptions(**options), cache=cache, **extra)

    return call


@pytest.fixture(scope="session")
def copies() -> dict[Path, Provisioned]:
    """A copy of the home folder of a board that was provisioned, and what came of it."""
    return {}


@pytest.fixture
def brought(
    bring: Callable[..., Provisioned],
    shell: LocalShell,
    copies: dict[Path, Provisioned],
    tmp_path_factory: pytest.TempPathFactory,
) -> Provisioned:
    """The board was provisioned with version 0.1.0; as this is slow, the first that was is copied."""
    if not copies:
        done = bring("0.1.0")
        copies[shutil.copytree(shell.home, tmp_path_factory.mktemp("copy") / "home", symlinks=True)] = done
        shell.calls.clear()
        return done
    ((copy, done),) = copies.items()
    shutil.copytree(copy, shell.home, symlinks=True, dirs_exist_ok=True)
    return done


def asked(shell: LocalShell) -> list[str]:
    return (shell.home / "asked").read_text().splitlines()


def facts_of(shell: LocalShell, **changes: object) -> Done:
    """The board's answer with some of it changed."""
    from hytnas_host.provision import facts_script
    from hytnas_host.provision.facts import ROOT

    script = Path(facts_script.__file__).read_bytes()
    true = LocalShell(shell.home).run([PYTHON, "-I", "-", ROOT], stdin=script, timeout_s=60)
    return Done(0, b"Welcome!\n" + json.dumps(json.loads(true.stdout) | changes).encode(), b"")


def test_a_bare_board_gets_an_agent_that_was_tried(bring, shell: LocalShell) -> None:
    done = bring()
    assert done.agent == (f"{shell.root}/current/bin/hytnas-agent",)
    assert (done.version, done.changed) == ("0.1.0", True)
    assert [check.name for check in done.checks] == ["swap"]
    assert shell.current is not None
    # Everything that the wheel asks for, the preferred version of the runtime, and no pip.
    packages = shell.current.glob("lib/python*/site-packages/*.dist-info")
    assert {path.name.removesuffix(".dist-info") for path in packages} == {
        "hytnas-0.1.0",
        "onnxruntime-1.26.0",
        "tiny_base-1.5",
    }
    # Tried in its own folder before it became the current one.
    assert [line.split()[1] for line in asked(shell)[:3]] == ["describe", "doctor", "stop"]


def test_again_there_is_nothing_to_do(bring, brought: Provisioned, shell: LocalShell) -> None:
    again = bring()
    assert (again.agent, again.version, again.changed) == (brought.agent, "0.1.0", False)
    assert len(shell.calls) == 1  # asked what it is, and left alone


def test_an_upgrade_copies_what_changed_and_keeps_one_environment_to_go_back_to(
    bring, brought: Provisioned, shell: LocalShell
) -> None:
    first = shell.current
    bring("0.2.0")
    second = shell.current
    assert shell.pushed() == ["hytnas-0.2.0-py3-none-any.whl"]
    assert shell.environments() == {first.name, second.name}
    assert (shell.root / "previous").resolve() == first
    bring("0.3.0")
    assert shell.environments() == {second.name, shell.current.name}
    # Back to the former one: it is all still there.
    shell.calls.clear()
    assert bring("0.2.0").changed
    assert (shell.current, shell.pushed()) == (second, [])


def test_an_upgrade_stops_the_agent_after_the_switch(bring, brought: Provisioned, shell: LocalShell) -> None:
    bring("0.2.0")
    calls = [" ".join(call) for call in shell.calls]
    switched = calls.index(f"mv -fT {shell.root}/current.part {shell.root}/current")
    assert calls.index(f"{shell.root}/current/bin/hytnas-agent stop") > switched


def test_the_device_is_held_while_an_agent_there_may_be_measuring(bring, shell: LocalShell) -> None:
    held, agents = [], []

    @contextmanager
    def hold(agent: Sequence[str]) -> Iterator[None]:
        agents.append(list(agent))
        held.append(len(shell.calls))
        yield
        held.append(len(shell.calls))

    bring("0.1.0", hold=hold)
    assert held == []  # there was no agent yet
    shell.calls.clear()
    bring("0.2.0", hold=hold)
    kinds = ["put" if call[0] == "put" else call[1] for call in shell.calls if len(call) > 1]
    first, last = kinds.index("put"), next(i for i, call in enumerate(shell.calls) if "stop" in call)
    assert held[0] <= first < held[1] <= last
    assert agents == [[f"{shell.root}/current/bin/hytnas-agent"]]


class Busy(Exception):
    """Somebody measures."""


@contextmanager
def refuse(agent: Sequence[str]) -> Iterator[None]:
    raise Busy(" ".join(agent))
    yield


def test_an_agent_that_another_host_has_installed_is_found_with_its_state(bring, shell: LocalShell) -> None:
    bring("0.1.0", state="~/disk")
    agent = f"{shell.root}/current/bin/hytnas-agent --state {shell.home}/disk"
    shell.calls.clear()
    # The other host's inventory knows of no agent, and of no state folder.
    with pytest.raises(Busy, match=f"^{agent}$"):
        bring("0.2.0", hold=refuse)
    assert shell.pushed() == []
    with pytest.raises(Busy, match=f"^{agent}$"):
        unprovision(shell, "pi", python=PYTHON, hold=refuse)
    assert shell.current is not None
    again = bring("0.1.0")
    assert (again.changed, again.state) == (False, f"{shell.home}/disk")
    assert unprovision(shell, "pi", python=PYTHON)
    assert asked(shell)[-1].endswith(f"--state {shell.home}/disk stop --delete-state")


def test_a_state_folder_that_moves_leaves_no_server_and_no_results_behind(bring, shell: LocalShell) -> None:
    bring(state="/first")
    (shell.home / "results-wait").touch()
    with pytest.raises(ProvisionError, match="3 results have not been fetched"):
        bring(state="/second")
    assert bring().state == "/first"
    (shell.home / "results-wait").unlink()
    (shell.home / "asked").unlink()
    moved = bring(state="/second")
    assert (moved.changed, moved.state) == (True, "/second")
    (key,) = shell.environments()
    stops = [line for line in asked(shell) if "stop" in line.split()]
    assert stops == [f"{key} --state /first stop --delete-state", f"{key} --state /second stop"]
    assert bring(state="/second").changed is False
    assert (bring().changed, bring().state) == (False, "/second")


def test_a_refused_login_keeps_its_advice_and_is_not_called_a_lost_link(bring, shell: LocalShell) -> None:
    def refuse_login(when: str, call: str) -> None:
        raise LoginError("pi@board refuses every key", "Put your public key there: ssh-copy-id pi@board")

    shell.cut = refuse_login
    with pytest.raises(ProvisionError) as refused:
        bring()
    assert refused.value.what == "pi: asking what it is failed: pi@board refuses every key"
    assert refused.value.next_step == "Put your public key there: ssh-copy-id pi@board"

    def lose(when: str, call: str) -> None:
        raise SshLostError("the connection to board ended", "Check its cable")

    shell.cut = lose
    with pytest.raises(ProvisionError, match="pi: lost while asking what it is: the connection"):
        bring()


def cut_each(shell: LocalShell, bring: Callable[..., Provisioned], version: str, begin: str = "") -> int:
    """Cut the link once before every call, from the one that begins so; how often that was.

    To be cut after a call is the same: the board is as the call left it, and this host remembers nothing.
    """
    seen: Counter[str] = Counter()
    former = shell.current

    def cut(when: str, call: str) -> None:
        if when == "before" and not call.startswith(FACTS) and (seen or call.startswith(begin)):
            seen[call] += 1
            if seen[call] == 1:
                raise Cut("connection reset")

    def attempt() -> str | None:
        try:
            bring(version)
        except ProvisionError as error:
            return str(error)
        return None

    shell.cut = cut
    while (failure := attempt()) is not None:
        assert "Run the same command again" in failure
        assert shell.current in (None, former) or version in shell.current.name
    shell.cut = lambda when, call: None
    return len(seen)


def test_an_installation_that_breaks_off_anywhere_is_gone_on_with(bring, shell: LocalShell) -> None:
    assert cut_each(shell, bring, "0.1.0") > 30
    assert bring("0.1.0").changed is False
    assert shell.environments() == {shell.current.name}
    assert not list(shell.root.rglob("*.part"))


def test_an_upgrade_that_breaks_off_anywhere_is_gone_on_with(
    bring, brought: Provisioned, shell: LocalShell
) -> None:
    former = shell.current
    # Up to here it is the same as an installation.
    assert cut_each(shell, bring, "0.2.0", begin="ln -sfn") > 8
    assert bring("0.2.0").changed is False
    assert shell.environments() == {former.name, shell.current.name}
    assert (shell.root / "previous").resolve() == former
    assert not list(shell.root.rglob("*.part"))


def test_what_was_pushed_before_a_cut_is_not_pushed_again(bring, shell: LocalShell) -> None:
    def cut(when: str, call: str) -> None:
        if when == "before" and "-m venv" in call:
            raise Cut("connection reset")

    shell.cut = cut
    with pytest.raises(ProvisionError, match="pi: lost while making a virtual environment: connection reset"):
        bring()
    assert len(shell.pushed()) == 4
    shell.cut = lambda when, call: None
    shell.calls.clear()
    bring()
    assert shell.pushed() == []


def test_an_installation_that_outlived_its_connection_is_waited_for(bring, shell: LocalShell) -> None:
    shell.answers["flock"] = Done(75, b"", b"")
    with pytest.raises(ProvisionError, match=r"another installation is still going on there.*later"):
        bring()


def test_a_file_that_arrives_damaged_is_refused(bring, shell: LocalShell) -> None:
    shell.answers["put tiny_base-1.5-py3-none-any.whl"] = Done(0, b"damaged", b"")
    with pytest.raises(ProvisionError, match=r"tiny_base-1\.5-py3-none-any\.whl arrived damaged.*SD card"):
        bring()
    assert shell.current is None
    assert not list(shell.root.rglob("tiny_base*"))


def test_a_file_damaged_on_the_board_later_is_refused_by_its_hash(bring, shell: LocalShell) -> None:
    def damage(when: str, call: str) -> None:
        if when == "before" and "--require-hashes" in call:
            (wheel,) = shell.root.glob("wheels/*/tiny_base*")
            make_wheel(wheel.parent, "tiny-base", "1.5", files={"tiny_base.py": "other"})

    shell.cut = damage
    with pytest.raises(ProvisionError, match="installing wheels failed"):
        bring()
    assert shell.current is None


def test_a_runtime_that_does_not_work_there_never_becomes_current(
    bring, brought: Provisioned, shell: LocalShell
) -> None:
    former = shell.current
    (shell.home / "runtime-is-broken").touch()
    with pytest.raises(ProvisionError, match=r"onnxruntime does not work there: dies of SIGILL.*--runtime"):
        bring("0.2.0")
    assert shell.current == former


def test_too_little_space_is_said_before_anything_is_copied(bring, shell: LocalShell) -> None:
    shell.answers[FACTS] = facts_of(shell, free_bytes=10 << 20)
    with pytest.raises(
        ProvisionError, match=r"pi has 10 MiB free in .*, \d+ MiB are needed.*Free some space"
    ):
        bring()
    assert shell.pushed() == []


def test_a_disk_that_fills_up_meanwhile_is_named(bring, shell: LocalShell) -> None:
    shell.answers["tee"] = Done(1, b"", b"tee: requirements.txt.part: No space left on device\n")
    with pytest.raises(ProvisionError, match=r"pi: the disk is full: writing requirements\.txt failed"):
        bring()
    assert shell.current is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"python_bits": 32}, "32-bit system .*but its programs are 32-bit.*64-bit Raspberry Pi OS"),
        ({"python_bits": 32, "machine": "armv7l"}, r"32-bit system \(armv7l\)"),
        ({"machine": "riscv64"}, "not supported: riscv64"),
        ({"python": [3, 9, 2]}, "CPython 3.9.2; the agent needs CPython 3.11 or later"),
        ({"python": [3, 20000, 0]}, "CPython 3.20000.0; the agent needs CPython 3.11 or later"),
        ({"libc": ""}, "another C library than glibc"),
        ({"libc": "glibc 2.20000"}, r"another C library than glibc \(glibc 2\.20000\)"),
        ({"has_venv": False}, "no module venv.*apt install python3-venv"),
    ],
)
def test_a_board_that_cannot_be_served_is_refused_with_the_reason(
    bring, shell: LocalShell, changes: dict[str, object], message: str
) -> None:
    shell.answers[FACTS] = facts_of(shell, **({"machine": "aarch64"} | changes))
    with pytest.raises(ProvisionError, match=message):
        bring(**({"wheel_folder": None} if "machine" in changes else {}))
    assert shell.current is None


def test_a_board_without_python_is_told_what_to_install(bring) -> None:
    with pytest.raises(ProvisionError, match=r"pi has no /nowhere/python3.*apt install python3"):
        bring(python="/nowhere/python3")


def test_a_32_bit_board_without_python_is_refused_for_the_better_reason(bring, shell: LocalShell) -> None:
    shell.answers |= {"uname -m": Done(0, b"armv7l\n", b""), "getconf LONG_BIT": Done(0, b"32\n", b"")}
    with pytest.raises(ProvisionError, match=r"32-bit system \(armv7l\)"):
        bring(python="/nowhere/python3")


def test_a_wheel_of_something_else_is_refused(bring, tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match=r"other-1\.0-py3-none-any\.whl is no wheel of hytnas"):
        bring(wheel=make_wheel(tmp_path, "other"))


def test_unprovision_leaves_nothing(brought: Provisioned, shell: LocalShell) -> None:
    assert unprovision(shell, "pi", python=PYTHON)
    assert not shell.root.exists()
    assert asked(shell)[-1].endswith("stop --delete-state")
    assert not unprovision(shell, "pi", python=PYTHON)


def test_what_somebody_else_keeps_there_outlives_upgrades_and_removal(
    bring, brought: Provisioned, shell: LocalShell
) -> None:
    foreign = ("notes/letter", "environments/mine/file", "wheels/mine/file")
    for name in foreign:
        (shell.root / name).parent.mkdir()
        (shell.root / name).write_text(name)
    bring("0.2.0")
    assert all((shell.root / name).read_text() == name for name in foreign)
    assert unprovision(shell, "pi", python=PYTHON)
    left = {str(path.relative_to(shell.root)) for path in shell.root.rglob("*") if path.is_file()}
    assert left == set(foreign)
    assert not unprovision(shell, "pi", python=PYTHON)


def test_unprovision_keeps_results_that_wait_for_their_host(brought: Provisioned, shell: LocalShell) -> None:
    (shell.home / "results-wait").touch()
    with pytest.raises(ProvisionError, match="3 results have not been fetched"):
        unprovision(shell, "pi", python=PYTHON)
    assert shell.current is not None
    assert unprovision(shell, "pi", python=PYTHON, discard_results=True)


def test_unprovision_can_be_broken_off_anywhere(brought: Provisioned, shell: LocalShell) -> None:
    seen: set[tuple[str, str]] = set()

    def cut(when: str, call: str) -> None:
        if (when, call) not in seen:
            seen.add((when, call))
            raise Cut("connection reset")

    shell.cut = cut
    for _ in range(30):
        try:
            unprovision(shell, "pi", python=PYTHON)
            break
        except ProvisionError:
            continue
    assert not shell.root.exists()
