#!/bin/sh
# Installs one version of cacheseal: fetches the program for this machine, compares its SHA-256 with the one written
# below, and only then puts it in its place. Nothing that was fetched is run before that.
#
#     sh install.sh [--to DIRECTORY] [--from URL]
#     sh install.sh --help
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

readonly usage='usage: sh install.sh [--to DIRECTORY] [--from URL]
  --to    where the program goes; ~/.local/bin if it is not named
  --from  where the releases are, https or file: the program is URL/vVERSION/cacheseal-VERSION-PLATFORM'

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

# What comes after an option: $1 is the option, $2 and more what is there.
value() {
    case ${2-} in
        '' | -*) fail "expected something after $1 that does not begin with -, found '${2-}'; a directory -x is ./-x" ;;
    esac
}

to='' from=https://github.com/cacheseal/cacheseal/releases/download
while [ $# -gt 0 ]; do
    case $1 in
        --to) value "$@" && to=$2 && shift 2 ;;
        --from) value "$@" && from=$2 && shift 2 ;;
        --help) printf '%s\n' "$usage" && exit ;;
        *) fail "expected --to DIRECTORY or --from URL, found $1" ;;
    esac
done
if [ -z "$to" ]; then
    [ -n "${HOME-}" ] || fail 'HOME is not set: say where the program goes, with --to DIRECTORY'
    to=$HOME/.local/bin
fi
while [ "$to" != / ] && [ "$to" != "${to%/}" ]; do to=${to%/}; done

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
command -v curl >/dev/null || fail 'expected curl, found none: install it, or fetch the program by hand as INSTALL.md says'
if command -v sha256sum >/dev/null; then
    digest=sha256sum
elif command -v shasum >/dev/null; then
    digest='shasum -a 256'
else
    fail 'expected sha256sum or shasum, found neither'
fi

mkdir -p "$to" || fail "could not make the directory $to: say another one, with --to"
if [ -d "$to/cacheseal" ]; then fail "expected a program or nothing at $to/cacheseal, found a directory: nothing was installed"; fi
# In the same directory, so that the move at the end is one step; a new file, so that it is nobody else's.
new=$(mktemp "$to/.cacheseal.XXXXXX") || fail "could not write in $to: say another directory, with --to"
trap 'rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM
name=cacheseal-$version-$platform
curl --disable --proto '=https,file' --proto-redir '=https' --tlsv1.2 --fail --silent --show-error --location \
    --output "$new" "${from%/}/v$version/$name" || fail "could not fetch $name from $from"
found=$($digest <"$new")
found=${found%% *}
[ "$found" = "$expected" ] || fail "expected $name with SHA-256 $expected, found $found: nothing was installed"
chmod 755 "$new"
# Started where it will be, and before it takes the place of one that works: a file system may let no program start.
"$new" --version || fail "the program does not start in $to: nothing was installed"
mv -f "$new" "$to/cacheseal"
case :$PATH: in
    *:"$to":* | *:"$to"/:*) ;;
    *) printf 'note: %s is not on PATH\n' "$to" ;;
esac
