#!/usr/bin/env bash
# kernel.sh OUT_DIR: Debian's arm64 kernel for QEMU's raspi3b: Image, the board's device tree, the few modules it needs
# (modules.tar) and an initramfs that loads those on the way to the SD card. Packages are unpacked, never installed.
set -euo pipefail
shopt -s extglob
out=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR
source "$here/apt-sources.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# In the initramfs, loaded in this order: the SD card and its file system, then USB and the network behind it.
early=(ext4 bcm2835-rng bcm2835-dma raspberrypi-power bcm2835 sdhci-iproc mmc_block
    phy-generic dwc2 usbnet cdc_ether cdc_subset rndis_host)
# On the SD card, loaded by udev. The watchdog is what restarts the board when it reboots.
late=(bcm2835_wdt bcm2835_thermal i2c-bcm2835 ipv6 autofs4 configfs)

# A package state of its own: this machine's dpkg never hears of arm64.
cd "$work"
mkdir -p apt/lists/partial apt/cache/archives/partial
touch apt/status
apt_sources "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg" >apt/sources.list
for setting in Dir::State="$work/apt" Dir::State::lists="$work/apt/lists" Dir::State::status="$work/apt/status" \
    Dir::Cache="$work/apt/cache" Dir::Etc::sourcelist="$work/apt/sources.list" Dir::Etc::sourceparts=/dev/null \
    APT::Architecture=arm64 APT::Architectures=arm64 Acquire::Languages=none APT::Sandbox::User=root; do
    apt_options+=(-o "$setting")
done
apt-get -qq "${apt_options[@]}" update
image=$(apt-cache "${apt_options[@]}" depends linux-image-arm64 |
    sed -n 's/.*Depends: \(linux-image-[0-9].*-arm64\).*/\1/p' | head -1)
apt-get -qq "${apt_options[@]}" download "$image" busybox-static
dpkg-deb -x linux-image-*_arm64.deb kernel
dpkg-deb -x busybox-static_*_arm64.deb busybox

version=$(ls kernel/lib/modules)
cp "kernel/boot/vmlinuz-$version" "$out/Image"
cp "kernel/usr/lib/linux-image-$version/broadcom/bcm2837-rpi-3-b.dtb" "$out/"

# The modules, each after those it depends on.
depmod -b kernel "$version"
files_of() {
    for module; do
        modprobe -d "$work/kernel" -S "$version" -D "$module" 2>/dev/null | sed -n 's/^insmod \(\S*\).*/\1/p' ||
            echo "kernel.sh: $module is no module of $version" >&2
    done | awk '!seen[$0]++'
}
tree=$work/tree/usr/lib/modules/$version
mkdir -p "$tree"
files_of "${early[@]}" "${late[@]}" | while read -r file; do
    install -D -m 644 "$file" "$tree/${file##*/lib/modules/"$version"/}"
done
cp kernel/lib/modules/"$version"/modules.{builtin,builtin.modinfo,order} "$tree/"
ln -s usr/lib "$work/tree/lib"
depmod -b "$work/tree" "$version"
tar -C "$work/tree" -cf "$out/modules.tar" usr

mkdir -p initramfs/{bin,proc,sys,dev,root,modules}
cp busybox/bin/busybox initramfs/bin/
number=100
files_of "${early[@]}" | while read -r file; do
    cp "$file" "initramfs/modules/$((number++))-${file##*/}"
done
install -m 755 "$here/initramfs-init.sh" initramfs/init
(cd initramfs && find . | cpio --quiet -o -H newc | gzip -1) >"$out/initrd.img"
