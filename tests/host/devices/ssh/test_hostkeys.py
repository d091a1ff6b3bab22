"""Host keys as text, and the files that hold them."""

import paramiko
import pytest

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.errors import HostKeyError
from hytnas_host.devices.ssh.hostkeys import HostKey, check_known, check_pinned, known_keys

# https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints
GITHUB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
GITHUB_FINGERPRINT = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


def test_fingerprint_is_the_published_one():
    key = HostKey.parse(f"{GITHUB} github.com\n")
    assert key.fingerprint == GITHUB_FINGERPRINT
    assert str(key) == GITHUB


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 ????",
        "ssh-ed25519 é",
        "ssh-ed25519 AAAA",
        GITHUB.replace("ed25519", "rsa", 1),
    ],
)
def test_line_that_is_no_key_is_refused(line):
    with pytest.raises(DeviceError, match="not a host key"):
        HostKey.parse(line)


def test_only_the_pinned_key_passes():
    pinned = HostKey.parse(GITHUB)
    other = HostKey.of(paramiko.ECDSAKey.generate())
    check_pinned(pinned, pinned, "board")
    with pytest.raises(HostKeyError, match="has changed"):
        check_pinned(other, pinned, "board")
    with pytest.raises(HostKeyError, match="is not known"):
        check_pinned(other, None, "board")


def test_known_hosts_are_found_by_port_and_under_a_hash(tmp_path):
    key = HostKey.parse(GITHUB)
    file = tmp_path / "known_hosts"
    hashed = paramiko.HostKeys.hash_host("secret.example")
    file.write_text(
        f"# mine\n\nplain.example,10.0.0.1 {GITHUB}\n[door]:2222 {GITHUB}\n{hashed} {GITHUB} comment\n"
        f"@cert-authority *.example {GITHUB}\nshort line\nother ssh-dss AAAAB3NzaC1kc3M=\nbad ssh-ed25519 A\n"
    )
    files = (tmp_path / "absent", file)
    for name, port in (("plain.example", 22), ("10.0.0.1", 22), ("door", 2222), ("secret.example", 22)):
        assert known_keys(name, port, files) == (key,)
    for name, port in (("plain.example", 2222), ("door", 22), ("a.example", 22), ("other", 22), ("bad", 22)):
        assert known_keys(name, port, files) == ()


def test_revoked_key_is_known_no_more(tmp_path):
    key, other = HostKey.parse(GITHUB), HostKey.of(paramiko.ECDSAKey.generate())
    file = tmp_path / "known_hosts"
    file.write_text(f"host {key}\nhost {other}\n@revoked * {key}\n")
    assert known_keys("host", 22, (file,)) == (other,)


@pytest.mark.parametrize("space", [" ", "\t", " \t "])
def test_fields_may_be_apart_by_any_blanks(tmp_path, space):
    key, other = HostKey.parse(GITHUB), HostKey.of(paramiko.ECDSAKey.generate())
    file = tmp_path / "known_hosts"
    lines = (f"host {key} me", f"host {other}", f"@revoked * {key}")
    file.write_text("\n".join(line.replace(" ", space) for line in lines))
    assert known_keys("host", 22, (file,)) == (other,)


@pytest.mark.parametrize(
    "hashed", ["|1|", "|1|a|b", "|1|????|????", "|1|AAAA", "|1|AAAA|AAAA|AAAA", "|2|AAAA|AAAA", "|", "|1|é|é"]
)
def test_damaged_hash_is_passed_over(tmp_path, hashed):
    file = tmp_path / "known_hosts"
    file.write_text(f"{hashed} {GITHUB}\nhost {GITHUB}\n")
    assert known_keys("host", 22, (file,)) == (HostKey.parse(GITHUB),)
    assert known_keys("other", 22, (file,)) == ()


@pytest.mark.parametrize(
    ("names", "name", "port", "known"),
    [
        ("Door.Example", "door.example", 22, True),
        ("door.example", "DOOR.example", 22, True),
        ("*.example", "door.example", 22, True),
        ("*.example", "example", 22, False),
        ("*.example,!door.example", "door.example", 22, False),
        ("*.example,!door.example", "gate.example", 22, True),
        ("10.0.0.?", "10.0.0.5", 22, True),
        ("10.0.0.?", "10.0.0.55", 22, False),
        ("10.0.0.5", "10x0.0.5", 22, False),
        ("[*.example]:2222", "door.example", 2222, True),
        ("[*.example]:2222", "door.example", 22, False),
        ("[d]oor", "door", 22, False),
    ],
)
def test_names_are_patterns_without_regard_to_case(tmp_path, names, name, port, known):
    file = tmp_path / "known_hosts"
    file.write_text(f"{names} {GITHUB}\n")
    assert known_keys(name, port, (file,)) == ((HostKey.parse(GITHUB),) if known else ())


def test_hash_is_that_of_the_name_in_lower_case(tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(f"{paramiko.HostKeys.hash_host('door.example')} {GITHUB}\n")
    assert known_keys("Door.Example", 22, (file,)) == (HostKey.parse(GITHUB),)


def test_known_hosts_that_cannot_be_read_is_one_clear_error(tmp_path):
    with pytest.raises(DeviceError, match="cannot be read"):
        known_keys("host", 22, (tmp_path,))


def test_jump_host_is_accepted_with_any_of_its_known_keys():
    key, other = HostKey.parse(GITHUB), HostKey.of(paramiko.ECDSAKey.generate())
    check_known(key, (other, key), "door")
    with pytest.raises(HostKeyError, match="not in known_hosts"):
        check_known(key, (), "door")
    with pytest.raises(HostKeyError, match="has changed"):
        check_known(key, (other,), "door")
