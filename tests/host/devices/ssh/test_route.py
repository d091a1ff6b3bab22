"""From an address and an SSH configuration to the hosts to connect to, without connecting."""

from pathlib import Path
from threading import TIMEOUT_MAX

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.route import plan_route
from hytnas_host.devices.ssh.settings import Address, SshSettings


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    monkeypatch.setenv("LOGNAME", "ada")
    (tmp_path / ".ssh").mkdir()
    return tmp_path


@pytest.fixture
def configure(home):
    def write(text: str) -> None:
        (home / ".ssh/config").write_text(text)

    return write


def told(settings: SshSettings) -> list[str]:
    return [str(hop) for hop in plan_route(settings)]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("raspberrypi", Address("raspberrypi")),
        ("pi@raspberrypi.local", Address("raspberrypi.local", None, "pi")),
        ("pi@10.0.0.5:2222", Address("10.0.0.5", 2222, "pi")),
        ("[fe80::1%eth0]:22", Address("fe80::1%eth0", 22)),
        ("ssh://pi@board:22/", Address("board", 22, "pi")),
        ("ada@lab.example@board:2222", Address("board", 2222, "ada@lab.example")),
    ],
)
def test_addresses_are_read_and_written(text, address):
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=x", "a b", "pi@", "@host", "host:0", "host:65536", "h:x", "a@b@"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(DeviceError, match="not an address"):
        Address.parse(text)


@given(st.text())
def test_any_text_is_an_address_or_refused(text):
    try:
        address = Address.parse(text)
    except DeviceError:
        return
    assert address.host
    assert not address.host.startswith("-")
    assert Address.parse(str(address)) == address


def test_without_a_configuration_there_are_defaults(home):
    (board,) = plan_route(SshSettings("board"))
    assert (board.host, board.port, board.user, board.known_as) == ("board", 22, "ada", "board")
    assert board.key_files[0] == home / ".ssh/id_ed25519"
    assert board.known_hosts[0] == home / ".ssh/known_hosts"
    assert (board.agent_socket, board.keys_were_chosen, board.only_these_keys) == ("/agent", False, False)


def test_what_is_given_goes_before_what_is_configured(configure, home):
    configure(
        "Host board\n  HostName 10.0.0.5\n  User pi\n  Port 2222\n  IdentityFile ~/.ssh/boards\n"
        "  HostKeyAlias shelf\n  IdentitiesOnly yes\n  IdentityAgent none\nHost *\n  User nobody\n"
    )
    assert told(SshSettings("board")) == ["pi@10.0.0.5 port 2222"]
    (board,) = plan_route(SshSettings("board", 22, "root", key_files=("/key",)))
    assert str(board) == "root@10.0.0.5 port 22"
    assert board.key_files == (Path("/key"), home / ".ssh/boards")
    assert (board.known_as, board.only_these_keys, board.agent_socket) == ("shelf", True, None)


def test_jump_hosts_come_first_each_with_its_own_options(configure):
    configure(
        "Host board\n  ProxyJump door,ada@inner:23\nHost door\n  HostName door.example\n  ProxyJump gate\n"
        "Host *\n  User pi\n"
    )
    assert told(SshSettings("board", key_files=("/key",))) == [
        "pi@gate port 22",
        "pi@door.example port 22",
        "ada@inner port 23",
        "pi@board port 22",
    ]
    assert Path("/key") not in plan_route(SshSettings("board", key_files=("/key",)))[0].key_files
    assert told(SshSettings("board", proxy_jump="none")) == ["pi@board port 22"]
    assert told(SshSettings("board", proxy_jump="other")) == ["pi@other port 22", "pi@board port 22"]


def test_included_files_count_where_they_are_included(configure, home):
    (home / ".ssh/conf.d").mkdir()
    (home / ".ssh/conf.d/1").write_text("Host board\n  User first\n")
    (home / ".ssh/conf.d/2").write_text("Host board\n  User second\n  Port 24\n")
    configure("Include conf.d/* absent/*\nUser everybody\nHost board\n  Port 25\n")
    assert told(SshSettings("board")) == ["first@board port 24"]
    assert told(SshSettings("other")) == ["everybody@other port 22"]


def test_home_of_nobody_has_no_files(configure):
    configure(
        "Include ~nosuchuser/config\nUserKnownHostsFile ~nosuchuser/known\nIdentityFile ~nosuchuser/key\n"
    )
    (board,) = plan_route(SshSettings("board", key_files=("~nosuchuser/other",)))
    assert not any(path.exists() for path in (*board.key_files, *board.known_hosts))
    assert told(SshSettings("board", config_file=Path("~nosuchuser/config"))) == ["ada@board port 22"]


def test_blocks_that_match_are_followed(configure):
    configure("Match final host board\n  Port 23\nMatch !host desk originalhost board user ada\n  User pi\n")
    assert told(SshSettings("board")) == ["pi@board port 23"]
    assert told(SshSettings("desk")) == ["ada@desk port 22"]


def test_included_pattern_may_have_stars_anywhere(configure, home):
    (home / ".ssh/board.conf").write_text("User pi\n")
    configure("Include **.conf\n")
    assert told(SshSettings("board")) == ["pi@board port 22"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Host board\n  ProxyCommand nc %h %p", "ProxyCommand"),
        ("Host board\n  ProxyJump board", "loop of ProxyJump"),
        ("Host board\n  Port http", "port 'http'"),
        ("Host board\n  nonsense", "malformed"),
        ("Host board\n  ProxyCommand nc %h %p\n  ProxyJump none", "ProxyCommand"),
        ("Include config", "Include too deep"),
        ("Host board\n  ProxyJump a b", "not an address"),
        ("nonsense", "malformed"),
        ("Match tagged vpn\n  User other", "'Match tagged', which is not supported"),
        ("Match host board !sessiontype shell\n  User other", "'Match sessiontype', which is not"),
        ('Match host "board', "malformed"),
        ('Host "board', "malformed"),
        ("CanonicalizeHostname yes\nCanonicalizeMaxDots many", "has no way to board"),
        ("#" * ((1 << 20) + 1), "larger than"),
    ],
)
def test_configuration_that_cannot_be_followed_is_one_clear_error(configure, text, said):
    configure(text)
    with pytest.raises(DeviceError, match=said):
        plan_route(SshSettings("board"))


def test_configuration_that_is_no_text_is_one_clear_error(home):
    (home / ".ssh/config").write_bytes(b"\xff\xfe")
    with pytest.raises(DeviceError, match="malformed"):
        plan_route(SshSettings("board"))


def test_comments_behind_values_are_none_of_them(configure):
    configure(
        "Host board desk # Tim's\n  Port 23 # not 22\n  User 'a # b'\n"
        "  IdentityFile /key#1 # it's the main one\n  HostName=shelf#3\n"
    )
    (board,) = plan_route(SshSettings("board"))
    assert (board.host, board.port, board.user) == ("shelf#3", 23, "'a # b'")
    assert board.key_files == (Path("/key#1"),)
    assert told(SshSettings("desk")) == [str(board)]


@pytest.mark.parametrize(
    "other",
    [
        b"  # Tim's card, bo\xeete aux lettres",
        b"  ProxyCommand nc %h %p",
        b"  nonsense",
        b"  User",
        b"  Include unreadable",
        b"Match localnetwork 10.0.0.0/8 host other\n  User x",
        b"Match host other tagged vpn\n  Include unreadable\n  nonsense",
    ],
)
def test_what_does_not_hold_for_a_board_cannot_stop_it(home, other):
    (home / ".ssh/unreadable").mkdir()
    text = b"Host other\n" + other + b"\nHost board\n  User pi\n"
    (home / ".ssh/config").write_bytes(text)
    assert told(SshSettings("board")) == ["pi@board port 22"]


@pytest.mark.parametrize(
    ("text", "hops"),
    [
        ("ProxyCommand none", ["ada@board port 22"]),
        ("ProxyCommand none\nProxyJump gate", ["ada@board port 22"]),
        ("ProxyJump gate\nProxyCommand nc %h %p", ["ada@gate port 22", "ada@board port 22"]),
        ("ProxyJump none\nProxyCommand nc %h %p", ["ada@board port 22"]),
    ],
)
def test_of_proxy_jump_and_proxy_command_the_first_counts(configure, text, hops):
    configure(f"Host board\n{text}\nHost *\n  ProxyJump none\n")
    assert told(SshSettings("board")) == hops


@pytest.mark.parametrize("block", ["Host board", "Match originalhost board", "Match user ada host b*"])
def test_a_file_that_is_included_in_a_block_counts_where_that_holds(configure, home, block):
    (home / ".ssh/more").write_text("Port 23\nHost desk\n  User nobody\nHost *\n  User pi\n")
    configure(f"{block}\n  Include more\n  IdentityFile /key\nHost *\n  Port 24\n")
    (board,) = plan_route(SshSettings("board"))
    assert (str(board), board.key_files) == ("pi@board port 23", (Path("/key"),))
    (desk,) = plan_route(SshSettings("desk"))
    assert str(desk) == "ada@desk port 24"
    assert Path("/key") not in desk.key_files


def keepalive_of(settings: SshSettings) -> tuple[float, float]:
    board = plan_route(settings)[-1]
    return board.keepalive_s, board.keepalive_limit_s


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", (15, 15)),
        ("ServerAliveInterval 30", (30, 90)),  # three signs, as ssh
        ("ServerAliveInterval 1M30\n  ServerAliveCountMax 2", (90, 180)),
        ("ServerAliveInterval 10\n  ServerAliveCountMax 0", (10, 10)),
        ("ServerAliveInterval 0", (15, 15)),
        ("ServerAliveInterval none\n  ServerAliveCountMax 9", (15, 15)),
        ("ServerAliveInterval 3000w\n  ServerAliveCountMax 999999999", (3000 * 604800, TIMEOUT_MAX)),
    ],
)
def test_signs_of_life_are_asked_for_as_configured_but_never_not_at_all(configure, lines, expected):
    configure(f"Host board\n  {lines}\nHost jump\n  ServerAliveInterval 1\n")
    assert keepalive_of(SshSettings("board", proxy_jump="jump")) == expected
    assert keepalive_of(SshSettings("board", keepalive_s=0.2, keepalive_limit_s=1)) == (0.2, 1)


@pytest.mark.parametrize(
    "line",
    [
        *(f"ServerAliveInterval {text}" for text in ("soon", "1.5", "-1", "1x", "9999w")),
        *(f"ServerAliveCountMax {text}" for text in ("x", "-3", "1s")),
    ],
)
def test_signs_of_life_that_cannot_be_asked_for_so_are_one_clear_error(configure, line):
    configure(f"Host board\n  {line}\n")
    name, value = line.split()
    with pytest.raises(DeviceError, match=f"gives board the {name} '{value}'"):
        plan_route(SshSettings("board"))
