#!/usr/bin/env bash
# build.sh: makes the emulated boards' image once and prints the folder it is in (about 10 minutes, as root; seconds
# when it is there). The cache is outside the repository; each part is named after a hash of the scripts that made it
# and appears in one rename, so a changed script builds anew and an interrupted build leaves nothing half done.
#   base-HASH/rootfs.tar.zst         bare Debian
#   kernel-HASH/                     kernel, device tree, initramfs, modules
#   board-HASH/{root,sd.img,id_ed25519,...}   the two, configured: as a folder and as an SD card
set -euo pipefail
here=$(dirname "$(realpath "$0")")
recipe=$here/recipe
cache=${HYTNAS_BOARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hytnas/board}
sd_size=2G # QEMU's SD cards are powers of two; sparse

hash_of() { (cd "$recipe" && cat "$@" | sha256sum | cut -c1-12); }
base=$cache/base-$(hash_of apt-sources.sh rootfs.sh)
kernel=$cache/kernel-$(hash_of apt-sources.sh kernel.sh initramfs-init.sh)
board=$cache/board-$( (basename "$base" "$kernel"; cat "$recipe/configure.sh" "$here/build.sh") | sha256sum | cut -c1-12)

if [ "${1:-}" = --where ]; then
    echo "$board"
    exit
fi
if [ -d "$board" ]; then
    echo "$board"
    exit
fi
say() { echo "board: $*" >&2; }
[ "$(id -u)" -eq 0 ] || { say "building needs root (chroot and binfmt_misc); run: sudo make board-image"; exit 1; }

mkdir -p "$cache"
chmod 700 "$cache" # set-user-id programs and test keys are in there
exec 9>"$cache/.lock"
flock --nonblock 9 || { say "waiting for another build"; flock 9; }
rm -rf "$cache"/.partial-* # of a build that was killed: the lock is ours

new_part() { mktemp -d "$cache/.partial-XXXXXX"; }

if [ ! -d "$base" ]; then
    say "Debian for arm64 ..."
    part=$(new_part)
    "$recipe/rootfs.sh" "$part/rootfs.tar.zst" >&2
    mv "$part" "$base"
fi
if [ ! -d "$kernel" ]; then
    say "kernel ..."
    part=$(new_part)
    "$recipe/kernel.sh" "$part" >&2
    mv "$part" "$kernel"
fi
if [ ! -d "$board" ]; then
    say "image ..."
    part=$(new_part)
    chmod 755 "$part"
    mkdir "$part/root"
    zstd -qdc "$base/rootfs.tar.zst" | tar -C "$part/root" --numeric-owner -xp
    tar -C "$part/root" --keep-directory-symlink -xf "$kernel/modules.tar"
    "$recipe/configure.sh" "$part/root" "$part" >&2
    cp "$kernel"/{Image,initrd.img,bcm2837-rpi-3-b.dtb} "$part/"
    truncate -s "$sd_size" "$part/sd.img"
    mke2fs -q -F -t ext4 -E lazy_itable_init=0,nodiscard -L rootfs -d "$part/root" "$part/sd.img"
    mv "$part" "$board"
fi
for old in "$cache"/{base,kernel,board}-*; do
    case $old in "$base" | "$kernel" | "$board") ;;
    *) flock --nonblock "$old" rm -rf "$old" || say "$old is in use" ;;
    esac
done
say "ready, $(du -sh "$cache" | cut -f1) in $cache"
echo "$board"
