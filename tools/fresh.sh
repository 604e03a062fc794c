#!/bin/sh
# make demo on a bare Debian: python3, git and make, and nothing else; no compiler, no pip, no fonts, no certificates.
# The commit that is checked out is cloned into a temporary folder with a new Debian in it, which is removed at the end.
#
#   make fresh [TARGETS="demo test"] [TORCH=cpu] [TORCH_INDEX=...] [SUITE=bookworm] [TMPDIR=/folder/with/10/GB]
#
# A proxy, pip's index and certificates are those of the environment (http_proxy, PIP_INDEX_URL, PIP_CERT, ...).
set -eu
project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
if [ "$(id -u)" != 0 ]; then
    echo "make fresh needs root: debootstrap and chroot do" >&2
    exit 1
fi
if ! command -v debootstrap >/dev/null; then
    echo "make fresh needs debootstrap: apt install debootstrap" >&2
    exit 1
fi
# All mounts are in a namespace of their own: they go with the last process, whatever ends it.
if [ "${FRESH_NAMESPACE:-}" != yes ]; then
    FRESH_NAMESPACE=yes exec unshare --mount --pid --fork --kill-child sh "$0" "$@"
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/hearlab-fresh-XXXXXX")
root=$folder/debian
clean() {
    umount -l "$root/proc" "$root/dev" 2>/dev/null || true
    rm -rf --one-file-system "$folder"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

seconds() { date +%s; }
start=$(seconds)
debootstrap --variant=minbase --include=python3,git,make "${SUITE:-bookworm}" "$root" >"$folder/debootstrap.log" ||
    { tail -5 "$folder/debootstrap.log" >&2; exit 1; }
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"
cp /etc/resolv.conf "$root/etc/resolv.conf"
git clone --quiet "$project" "$root/home/hearlab"
# Certificates that the environment names come along.
set -- "PATH=/usr/sbin:/usr/bin:/sbin:/bin" "PIP_LOG=/home/pip.log"
for name in http_proxy https_proxy no_proxy PIP_PROXY PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST \
    PIP_DEFAULT_TIMEOUT TORCH TORCH_INDEX; do
    eval "value=\${$name:-}"
    if [ -n "$value" ]; then set -- "$@" "$name=$value"; fi
done
if [ -n "${PIP_CERT:-${SSL_CERT_FILE:-}}" ]; then
    cp "${PIP_CERT:-$SSL_CERT_FILE}" "$root/home/certificates.pem"
    set -- "$@" PIP_CERT=/home/certificates.pem
fi
inside() { chroot "$root" /usr/bin/env -i "$@"; }
touch "$root/home/pip.log"
downloaded() {
    awk '/ Downloading .*[(].* (bytes|kB|MB|GB)[)]/ {
        unit = $NF; sub("[)]", "", unit); number = $(NF - 1); sub("[(]", "", number)
        sum += number * (unit == "GB" ? 1e3 : unit == "MB" ? 1 : unit == "kB" ? 1e-3 : 1e-6)
    } END { printf "%.0f", sum }' "$root/home/pip.log"
}
echo "A bare Debian (${SUITE:-bookworm}) in $(($(seconds) - start)) s: $(inside "$@" python3 --version), $(du -smx "$root" | cut -f1) MB"

for target in ${TARGETS:-demo}; do
    start=$(seconds)
    before=$(downloaded)
    if ! inside "$@" make -C /home/hearlab "$target" 2>"$folder/errors"; then
        # What make asks for in its one line is installed, and then it has to work.
        cat "$folder/errors"
        package=$(sed -n 's/^error: .*sudo apt install \([^ `]*\)`.*/\1/p' "$folder/errors")
        [ -n "$package" ] || exit 1
        inside "$@" DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$package" >/dev/null
        inside "$@" make -C /home/hearlab "$target"
    fi
    echo "make $target: $(($(seconds) - start)) s, $(($(downloaded) - before)) MB downloaded by pip, .venv $(du -smx "$root/home/hearlab/.venv" | cut -f1) MB"
done
