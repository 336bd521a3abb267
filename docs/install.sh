#!/bin/sh
# Installs one version of cacheseal: fetches the program for this machine, compares its SHA-256 with the one written
# below, and only then puts it in its place. Nothing that was fetched is run before that.
#
#     sh install.sh [--to DIRECTORY] [--from URL]
#
# DIRECTORY is where the program goes, ~/.local/bin if none is named. URL is where the releases are (https, or file for
# a mirror): the program is URL/vVERSION/cacheseal-VERSION-PLATFORM. Needs curl, and sha256sum or shasum.
set -eu

# A release fills these in. The script of a checkout knows no release.
version=''
digest_linux_amd64=''
digest_linux_arm64=''
digest_macos_amd64=''
digest_macos_arm64=''

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

to=${HOME:?}/.local/bin
from=https://github.com/cacheseal/cacheseal/releases/download
while [ $# -gt 0 ]; do
    case $1 in
        --to) to=${2:?--to wants a directory} && shift 2 ;;
        --from) from=${2:?--from wants a URL} && shift 2 ;;
        *) fail "expected --to DIRECTORY or --from URL, found $1" ;;
    esac
done

[ -n "$version" ] || fail 'this script is from a checkout and knows no release: take the one of a release, or build with cargo'
platform=$(uname -s)-$(uname -m)
case $platform in
    Linux-x86_64) platform=linux-amd64 expected=$digest_linux_amd64 ;;
    Linux-aarch64 | Linux-arm64) platform=linux-arm64 expected=$digest_linux_arm64 ;;
    Darwin-x86_64) platform=macos-amd64 expected=$digest_macos_amd64 ;;
    Darwin-arm64) platform=macos-arm64 expected=$digest_macos_arm64 ;;
    *) expected='' ;;
esac
[ -n "$expected" ] || fail "version $version has no program for $platform: build it with cargo install --locked cacheseal"

mkdir -p "$to"
# In the same directory, so that the move at the end is one step; a new file, so that it is nobody else's.
new=$(mktemp "$to/.cacheseal.XXXXXX")
trap 'rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM
name=cacheseal-$version-$platform
curl --disable --proto '=https,file' --proto-redir '=https' --tlsv1.2 --fail --silent --show-error --location \
    --output "$new" "${from%/}/v$version/$name" || fail "could not fetch $name from $from"
if command -v sha256sum >/dev/null; then
    found=$(sha256sum <"$new")
else
    found=$(shasum -a 256 <"$new")
fi
found=${found%% *}
[ "$found" = "$expected" ] || fail "expected $name with SHA-256 $expected, found $found: nothing was installed"
chmod 755 "$new"
mv "$new" "$to/cacheseal"
"$to/cacheseal" --version
case :$PATH: in
    *:"$to":*) ;;
    *) printf 'note: %s is not on PATH\n' "$to" ;;
esac
