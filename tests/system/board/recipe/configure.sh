#!/usr/bin/env bash
# configure.sh ROOT KEY_FOLDER: turns the bare Debian in ROOT into the board: user pi, SSH, network, host key.
# The keys are made here and serve tests only; whoever reads the cache can log in to these boards and nothing else.
set -euo pipefail
root=$1
keys=$2

echo raspberrypi >"$root/etc/hostname"
echo '127.0.0.1 localhost raspberrypi' >"$root/etc/hosts"
# Nobody answers there: looking a name up fails at once, for a board under test is offline.
echo 'nameserver 127.0.0.1' >"$root/etc/resolv.conf"
echo '/dev/mmcblk0 / ext4 defaults,noatime 0 1' >"$root/etc/fstab"
: >"$root/etc/machine-id" # each board gets its own at its start
# How the agent knows: PAM gives this to logins, systemd to the units of users.
echo 'HYTNAS_AGENT_EXECUTION=emulated' >>"$root/etc/environment"

chroot "$root" useradd --create-home --shell /bin/bash --groups sudo,video,adm pi
chroot "$root" usermod --password '*' pi # no password, yet not locked: sshd without PAM refuses locked users
cat >"$root/etc/sudoers.d/pi" <<'SUDO'
pi ALL=(ALL) NOPASSWD: ALL
Defaults env_keep += "QEMU_CPU HYTNAS_AGENT_EXECUTION"
SUDO
chmod 440 "$root/etc/sudoers.d/pi"

ssh-keygen -q -t ed25519 -N '' -C 'hytnas board tests' -f "$keys/id_ed25519"
rm -f "$root"/etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -C raspberrypi -f "$root/etc/ssh/ssh_host_ed25519_key"
cp "$root/etc/ssh/ssh_host_ed25519_key.pub" "$keys/"
for home in root home/pi; do
    install -d -m 700 "$root/$home/.ssh"
    install -m 600 "$keys/id_ed25519.pub" "$root/$home/.ssh/authorized_keys"
done
chroot "$root" chown -R pi:pi /home/pi/.ssh
cat >"$root/etc/ssh/sshd_config.d/50-board.conf" <<'SSHD'
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
UseDNS no
# An emulated processor takes its time to agree on keys.
LoginGraceTime 600
SSHD
sed -i 's/^session.*pam_motd/#&/' "$root/etc/pam.d/sshd"

# The address QEMU's user-mode network expects; asking for it by DHCP would only take longer.
cat >"$root/etc/systemd/network/10-board.network" <<'NETWORK'
[Match]
Name=e* usb*
[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
LinkLocalAddressing=no
IPv6AcceptRA=no
NETWORK
systemd=(systemctl --root="$root" --quiet)
"${systemd[@]}" enable systemd-networkd.service ssh.service
"${systemd[@]}" disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer
# The modprobe@ ones look for modules that are not there, for seconds each.
"${systemd[@]}" mask modprobe@{dm_mod,drm,fuse,loop}.service systemd-networkd-wait-online.service systemd-pstore.service systemd-firstboot.service \
    proc-sys-fs-binfmt_misc.automount systemd-binfmt.service
