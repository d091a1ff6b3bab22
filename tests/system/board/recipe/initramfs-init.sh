#!/bin/busybox sh
# shellcheck shell=dash
# First process of the full board: loads the modules in the order of their numbers and hands over to the SD card.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do
    insmod "$module" 2>/dev/null
done
tries=0
while [ ! -b /dev/mmcblk0 ] && [ $tries -lt 600 ]; do
    usleep 100000
    tries=$((tries + 1))
done
if ! mount -t ext4 -o rw,noatime /dev/mmcblk0 /root; then
    echo "initramfs: no root file system on /dev/mmcblk0"
    poweroff -f
fi
mount --move /dev /root/dev
umount /sys /proc
exec switch_root /root /sbin/init
