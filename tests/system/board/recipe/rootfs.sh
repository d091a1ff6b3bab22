#!/usr/bin/env bash
# rootfs.sh OUT.tar.zst: a bare arm64 Debian 12, what Raspberry Pi OS 12 is made of: the same glibc, Python 3.11,
# OpenSSH and systemd. Packages only: settings are configure.sh's, so that changing one costs seconds. Needs root and
# a binfmt_misc entry for arm64, because the packages' own scripts run under qemu-user. Takes most of the build's time.
set -euo pipefail
out=$1
here=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR
source "$here/apt-sources.sh"

packages=(
    systemd-sysv udev kmod iproute2 procps
    dbus-user-session libpam-systemd # `systemctl --user` and linger, for the agent's unit
    openssh-server sudo
    python3 python3-venv
    libgomp1 libstdc++6 # what the wheels of the runtimes expect of the system; the wheels themselves are not here
)
include=$(IFS=,; echo "${packages[*]}")

sources=$(apt_sources "")
# In namespaces of its own, so that a killed build leaves neither mounts nor processes.
export TMPDIR
TMPDIR=$(dirname "$(realpath "$out")")
nice unshare --mount --pid --fork --kill-child --mount-proc \
    mmdebstrap --quiet --mode=root --architectures=arm64 --variant=minbase --include="$include" \
    --aptopt='Acquire::Languages "none"' --aptopt='Apt::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/lib/udev/hwdb.d/*' \
    bookworm "$out" - <<<"$sources"
