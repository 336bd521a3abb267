#!/bin/bash
# Puts cacheseal where only root can write, and believes it by its digest alone. Everything is called by its absolute
# path: what comes first on PATH may be anybody's.

# `orb/release` fills these in when it packs a release. An orb that was packed from source knows no release.
readonly version=''
readonly digest_linux_amd64=''
readonly digest_linux_arm64=''
readonly digest_macos_amd64=''
readonly digest_macos_arm64=''

readonly directory=/opt/cacheseal
readonly program=$directory/bin/cacheseal

fail() {
    printf 'cacheseal/install: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif [[ -x /usr/bin/sudo ]]; then
        /usr/bin/sudo -n -- "$@" || fail "sudo refused; $needs_root"
    else
        fail "$needs_root"
    fi
}
readonly needs_root='only root can put cacheseal where a restore cannot replace it. Use an image whose user may use sudo without a password, as those of CircleCI do, or put it into the image: see docs/CIRCLECI.md#root-images'

# The system's own tools, which nothing on PATH can shadow.
digest_of() {
    local line
    if [[ -x /usr/bin/sha256sum ]]; then
        line=$(/usr/bin/sha256sum <"$1")
    elif [[ -x /usr/bin/shasum ]]; then
        line=$(/usr/bin/shasum -a 256 <"$1")
    else
        fail 'expected /usr/bin/sha256sum or /usr/bin/shasum; found neither'
    fi
    printf '%s' "${line%% *}"
}

# Whether only root can change a file: its own mode, and that of every directory above it. In a directory with the
# sticky bit, such as /tmp, others cannot rename what is root's.
is_roots() {
    local path=$1
    [[ $path == /* && -f $path && -x /usr/bin/find ]] || return 1
    [[ -n $(/usr/bin/find "$path" -prune -type f -user 0 ! -perm -0020 ! -perm -0002) ]] || return 1
    while [[ $path != / ]]; do
        path=${path%/*}
        path=${path:-/}
        [[ -n $(/usr/bin/find "$path" -prune -type d -user 0 \( ! -perm -0020 ! -perm -0002 -o -perm -1000 \)) ]] || return 1
    done
}

# Sets `platform`, and `wanted` to the digest of the release for it.
find_release() {
    local uname=/usr/bin/uname
    [[ -x $uname ]] || uname=/bin/uname
    case $("$uname" -s)-$("$uname" -m) in
        Linux-x86_64) platform=linux-amd64 wanted=$digest_linux_amd64 ;;
        Linux-aarch64 | Linux-arm64) platform=linux-arm64 wanted=$digest_linux_arm64 ;;
        Darwin-x86_64) platform=macos-amd64 wanted=$digest_macos_amd64 ;;
        Darwin-arm64) platform=macos-arm64 wanted=$digest_macos_arm64 ;;
    esac
    [[ -n $wanted ]] ||
        fail "version $version has no program for $("$uname" -s) on $("$uname" -m): set the parameter binary"
}

# Sets `wanted`, and `source` unless what is wanted is there already.
choose() {
    local platform
    if [[ -n $PARAM_BINARY ]]; then
        source=$PARAM_BINARY
        [[ -f $source ]] || fail "binary: there is no file $source"
        wanted=$PARAM_SHA256
        if [[ -z $wanted ]]; then
            is_roots "$source" || fail "binary: others than root can write $source, so set the parameter sha256 as well"
            wanted=$(digest_of "$source")
        fi
        return
    fi
    [[ -n $version ]] || fail 'this orb was packed from source and knows no release: set the parameter binary'
    find_release
    if is_roots "$program" && [[ $(digest_of "$program") == "$wanted" ]]; then return; fi
    source=$(/usr/bin/mktemp -d)/cacheseal
    [[ -x /usr/bin/curl ]] || fail 'expected /usr/bin/curl; found none: set the parameter binary'
    /usr/bin/curl --disable --proto '=https,file' --proto-redir '=https' --tlsv1.2 --fail --silent --show-error --location \
        --retry 3 --output "$source" "${PARAM_BASE_URL%/}/v$version/cacheseal-$version-$platform" ||
        fail "could not fetch version $version for $platform"
}

wanted='' source=''
choose
[[ $wanted =~ ^[0-9a-f]{64}$ ]] || fail "sha256: expected 64 lower-case hex digits; found '$wanted'"
if [[ -n $source ]] && ! { is_roots "$program" && [[ $(digest_of "$program") == "$wanted" ]]; }; then
    found=$(digest_of "$source")
    [[ $found == "$wanted" ]] || fail "$source has the digest $found; expected $wanted"
    as_root /usr/bin/install -d -o 0 -g 0 -m 0755 "$directory" "$directory/bin"
    as_root /usr/bin/install -o 0 -g 0 -m 0755 "$source" "$program"
fi
# What counts is what lies there now, not what was read before it was copied.
is_roots "$program" || fail "others than root can change $program or a directory above it"
[[ $(digest_of "$program") == "$wanted" ]] || fail "$program is not what was checked"
# Reports, and the workspace that the job `seal` attaches: in a directory of root's, so that nobody can put a link there.
for name in reports workspace; do
    if [[ ! -d $directory/$name || -L $directory/$name ]]; then
        as_root /usr/bin/install -d -o "$EUID" -g "${GROUPS[0]}" -m 0700 "$directory/$name"
    fi
done
"$program" --version
if ((EUID == 0)); then
    printf 'warning: this job runs as root, so a restore can replace anything, this program included: see %s\n' \
        'docs/CIRCLECI.md#root-images'
fi
