#!/usr/bin/env bash
# chroot-init.sh LOWER STATE: first process of a chroot board, alone in new mount, PID and UTS namespaces. LOWER is the
# image's root, shared and never written; STATE holds what this board wrote and what is its own. When this process
# ends, the kernel ends every other one of the board and undoes the mounts.
set -euo pipefail
lower=$1
state=$2
root=$state/root
mkdir -p "$root" "$state/work"

mount -t overlay -o "lowerdir=$lower,upperdir=$state/upper,workdir=$state/work" board "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir "$root/run/sshd"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${number%:*}" "$root/dev/${number#*:}"
done

# Programs see the host's kernel; this much of a Pi can be put over it. Not /proc/device-tree: nothing can be added
# to /proc. Without the processor's text ONNX Runtime takes the host's for its own and dies at import.
mount --bind "$state/cpuinfo" "$root/proc/cpuinfo"
mount -t tmpfs -o mode=755 tmpfs "$root/sys/firmware"
mkdir -p "$root/sys/firmware/devicetree"
cp -r "$state/device-tree" "$root/sys/firmware/devicetree/base"
if [ -d "$root/sys/class/dmi" ]; then
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/class/dmi" # an x86 thing
fi
# A thermal zone like a Pi's; tests may write to it (as root).
mount -t tmpfs -o mode=755 tmpfs "$root/sys/class/thermal"
mkdir "$root/sys/class/thermal/thermal_zone0"
echo cpu-thermal >"$root/sys/class/thermal/thermal_zone0/type"
echo 48312 >"$root/sys/class/thermal/thermal_zone0/temp"

hostname "$(cat "$state/upper/etc/hostname")"
# Not exec: a first process has to collect the processes that lost their parents, and the shell does while it waits.
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin QEMU_CPU=cortex-a53 \
    chroot "$root" /usr/sbin/sshd -D -e &
wait $!
