#!/bin/bash
# A step that saves a cache takes no list of paths, and a restore puts it back to where it was saved, wherever home and
# checkout are by then. So a sealed cache travels in one directory of home, `~/.cacheseal-CACHE`: `collect` moves its seal
# and its roots there, below `checkout`, `home` and `root` as `cacheseal pack` has them, so that its archive can be verified
# by hand; `place` moves them to where the policy has them now, after a restore; `back` does so after the save, and also
# after one that failed. Nothing here is looked up on PATH.
#
# After a restore nothing that `place` reads or moves can be relied on, the policy included. It moves only what lies in
# the travelling directory itself, never through a link, so it is what the restore has brought; to a place where the
# restore could have written it itself; and the verification is the next step.
readonly program=/opt/cacheseal/bin/cacheseal

# Without the program nothing was collected, and the step that failed has said why.
if [[ ! -x $program && $PARAM_MOVE == back ]]; then exit 0; fi
if [[ ! -x $program ]]; then
    printf 'expected %s; found none: cacheseal/install comes before the restore\n' "$program" >&2
    exit 5
fi
[[ $PARAM_CACHE =~ ^[a-z0-9-]+$ ]] || {
    printf 'expected the name of a cache: a-z, 0-9 and -\n' >&2
    exit 2
}
readonly travelling=$HOME/.cacheseal-$PARAM_CACHE
# Says that what travels is this job's own and the only copy. `cacheseal/guard` takes one of an earlier job away.
readonly collected=/opt/cacheseal/reports/.collected-$PARAM_CACHE
directory=.
case $PARAM_POLICY in */*) directory=${PARAM_POLICY%/*} ;; esac
directory=${directory:-/}

# Only directories are opened: a file may be a hard link to somebody else's.
remove() {
    if [[ -d $1 && ! -L $1 ]]; then /usr/bin/find "$1" -type d ! -perm -0700 -exec /bin/chmod u+rwx -- {} \; || :; fi
    /bin/rm -rf -- "$1"
}

# Whether a link, or a directory that cannot be entered, is on the way from the travelling directory to a path in it.
is_blocked() {
    local path=$travelling rest=${1#"$travelling"/}
    while [[ $rest == */* ]]; do
        path=$path/${rest%%/*} rest=${rest#*/}
        if [[ -L $path ]] || [[ -d $path && ! -x $path ]]; then return 0; fi
    done
    return 1
}

# Moves what is there, which may be nothing, to where nothing is, or says in one line why not.
move() {
    local from=$1 to=$2 said=''
    case $from in "$travelling"/*)
        if is_blocked "$from"; then said='a link or a closed directory is on the way to it'; fi
        ;;
    esac
    if [[ -z $said ]]; then
        if [[ ! -e $from && ! -L $from ]]; then return 0; fi
        if said=$(move_there "$from" "$to" 2>&1); then return 0; fi
    fi
    printf '%s was not moved to %s: %s\n' "$from" "$to" "${said//$'\n'/; }" >&2
    return 1
}

move_there() {
    local from=$1 to=$2
    if [[ -d $to && ! -L $to ]]; then /bin/rmdir -- "$to" || return 1; fi
    if [[ -e $to || -L $to ]]; then
        printf 'expected nothing there, found something\n'
        return 1
    fi
    /bin/mkdir -p -- "${to%/*}/" || return 1
    # A directory that its owner may not write cannot leave the one that holds it.
    if [[ -d $from && ! -L $from && ! -w $from ]]; then /bin/chmod u+w -- "$from" || return 1; fi
    /bin/mv -- "$from" "$to"
}

# Sets, for a root as the policy writes it, where it `lies`, and where it is while the cache travels.
find_root() {
    case $1 in
        \~/*) lies=$HOME/${1#\~/} travels=$travelling/home/${1#\~/} ;;
        /*) lies=$1 travels=$travelling/root$1 ;;
        *) lies=$directory/$1 travels=$travelling/checkout/$1 ;;
    esac
    case $PARAM_WORKSPACE in
        true | 1) lies=${1#\~/} lies=/opt/cacheseal/workspace/${lies#/} ;;
    esac
}

# Sets `roots`, a line each.
read_roots() {
    roots=$("$program" policy roots --policy "$PARAM_POLICY" -- "$PARAM_CACHE")
}

# Moves seal and roots out of the travelling directory, each if it can be.
unload() {
    local root lies travels status=0
    move "$travelling/checkout/.cacheseal/$PARAM_CACHE" "$directory/.cacheseal/$PARAM_CACHE" || status=1
    while IFS= read -r root; do
        if [[ -z $root ]]; then continue; fi
        find_root "$root"
        move "$travels" "$lies" || status=1
    done < <(printf '%s\n' "$roots")
    return "$status"
}

load() {
    local root lies travels
    move "$directory/.cacheseal/$PARAM_CACHE" "$travelling/checkout/.cacheseal/$PARAM_CACHE" || return 1
    while IFS= read -r root; do
        find_root "$root"
        move "$lies" "$travels" || return 1
    done < <(printf '%s\n' "$roots")
}

is_mount_point() {
    local place real
    # Where the system does not say what is mounted, moving it fails.
    if [[ ! -d $1 || ! -r /proc/self/mountinfo ]]; then return 1; fi
    real=$(cd -P -- "$1" && pwd -P) || return 1
    while read -r _ _ _ _ place _; do
        printf -v place %b "$place"
        if [[ $place == "$real" ]]; then return 0; fi
    done </proc/self/mountinfo
    return 1
}

# Whether a path can leave the directory that holds it. Says why not.
can_leave() {
    local path=$1 holder=${1%/*} said=''
    if [[ ! -e $path && ! -L $path ]]; then return 0; fi
    if [[ ! -w ${holder:-/} || ! -x ${holder:-/} ]]; then
        said="this job may not write ${holder:-/}"
    elif is_mount_point "$path"; then
        said='it is a mount point'
    elif [[ -k ${holder:-/} && ! -O ${holder:-/} && ! -O $path ]]; then
        said="it is somebody else's in a directory with the sticky bit"
    elif [[ -d $path && ! -L $path && ! -w $path && ! -O $path ]]; then
        said="it is somebody else's"
    fi
    if [[ -z $said ]]; then return 0; fi
    printf '%s cannot be moved: %s\n' "$path" "$said" >&2
    return 1
}

# Nothing is moved or removed before all of it can be.
collect() {
    local roots root lies travels movable=0
    read_roots
    # What has no seal is of no use to anybody, and would take the place of what has one.
    if [[ ! -d $directory/.cacheseal/$PARAM_CACHE ]]; then
        printf 'expected the seal of %s; found none: nothing is saved without it\n' "$PARAM_CACHE" >&2
        exit 5
    fi
    can_leave "$directory/.cacheseal/$PARAM_CACHE" || movable=4
    while IFS= read -r root; do
        find_root "$root"
        can_leave "$lies" || movable=4
    done < <(printf '%s\n' "$roots")
    if ((movable != 0)); then
        printf 'expected roots that are no mount points, in directories that this job may write; nothing was moved\n' >&2
        exit "$movable"
    fi
    remove "$travelling"
    remove "$collected"
    # A directory is made through no link.
    /bin/mkdir -- "$collected"
    if ! load; then
        put_back
        printf 'nothing is saved, and all of the cache is where it was\n' >&2
        exit 4
    fi
}

# Nothing that was not moved is deleted: it is the only copy.
put_back() {
    local roots
    if ! read_roots || ! unload; then
        printf 'what was not put back is in %s, and stays there until a job on this machine starts the guard\n' \
            "$travelling" >&2
        exit 4
    fi
    remove "$travelling"
    remove "$collected"
}

back() {
    # Nothing was collected, or a failed collection has put it back.
    if [[ ! -d $collected || -L $collected ]]; then return 0; fi
    case $PARAM_WORKSPACE in
        # No other step of the job `seal` is to find, beside the key, what came with the workspace.
        true | 1)
            remove "$travelling"
            remove "$collected"
            ;;
        *) put_back ;;
    esac
}

place() {
    local roots=''
    # Nothing was restored, or by a step that puts it into place itself. A link is a stray write, for the guard to find.
    if [[ ! -d $travelling || -L $travelling ]]; then return 0; fi
    # Without a policy that can be read nothing is moved, and the verification says what is wrong with it.
    read_roots 2>/dev/null || roots=''
    # What is in the way came with the same restore. It stays, and is what the verification judges.
    unload || :
    remove "$travelling"
}

case $PARAM_MOVE in
    collect) collect ;;
    back) back ;;
    *) place ;;
esac
