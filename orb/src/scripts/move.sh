#!/bin/bash
# A step that saves a cache takes no list of paths, and a restore puts it back to where it was saved, wherever home and
# checkout are by then. So a sealed cache travels in one directory of home, `~/.cacheseal-CACHE`: `collect` moves its seal
# and its roots there, below `checkout`, `home` and `root` as `cacheseal pack` has them, so that its archive can be verified
# by hand; `place` moves them to where the policy has them now. Nothing here is looked up on PATH.
#
# After a restore nothing that `place` reads or moves can be relied on, the policy included. It moves what the restore
# could have written to the same place itself, and the verification is the next step.
readonly program=/opt/cacheseal/bin/cacheseal

if [[ ! -x $program ]]; then
    printf 'expected %s; found none: cacheseal/install comes before the restore\n' "$program" >&2
    exit 5
fi
[[ $PARAM_CACHE =~ ^[a-z0-9-]+$ ]] || {
    printf 'expected the name of a cache: a-z, 0-9 and -\n' >&2
    exit 2
}
readonly travelling=$HOME/.cacheseal-$PARAM_CACHE
directory=.
case $PARAM_POLICY in */*) directory=${PARAM_POLICY%/*} ;; esac
directory=${directory:-/}

remove() {
    if [[ -d $1 && ! -L $1 ]]; then /bin/chmod -R u+rwx -- "$1"; fi
    /bin/rm -rf -- "$1"
}

# Moves what is there, which may be nothing, to where nothing is.
move() {
    local from=$1 to=$2
    if [[ ! -e $from && ! -L $from ]]; then return 0; fi
    if [[ -d $to && ! -L $to ]]; then /bin/rmdir -- "$to" 2>/dev/null || return 1; fi
    if [[ -e $to || -L $to ]]; then return 1; fi
    /bin/mkdir -p -- "${to%/*}"
    # A directory that its owner may not write cannot leave the one that holds it.
    if [[ -d $from && ! -L $from ]]; then /bin/chmod u+w -- "$from"; fi
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

collect() {
    local roots root lies travels
    remove "$travelling"
    roots=$("$program" policy roots --policy "$PARAM_POLICY" -- "$PARAM_CACHE")
    # What has no seal is of no use to anybody, and would take the place of what has one.
    if [[ ! -d $directory/.cacheseal/$PARAM_CACHE ]]; then
        printf 'expected the seal of %s; found none: nothing is saved without it\n' "$PARAM_CACHE" >&2
        exit 5
    fi
    move "$directory/.cacheseal/$PARAM_CACHE" "$travelling/checkout/.cacheseal/$PARAM_CACHE"
    while IFS= read -r root; do
        find_root "$root"
        move "$lies" "$travels"
    done < <(printf '%s\n' "$roots")
}

place() {
    local roots='' root lies travels
    # Nothing was restored, or by a step that puts it into place itself. A link is a stray write, for the guard to find.
    if [[ ! -d $travelling || -L $travelling ]]; then return 0; fi
    # Without a policy that can be read nothing is moved, and the verification says what is wrong with it.
    roots=$("$program" policy roots --policy "$PARAM_POLICY" -- "$PARAM_CACHE" 2>/dev/null) || roots=''
    # What is in the way came with the same restore. It stays, and is what the verification judges.
    move "$travelling/checkout/.cacheseal/$PARAM_CACHE" "$directory/.cacheseal/$PARAM_CACHE" || :
    while IFS= read -r root; do
        find_root "$root"
        if [[ -n $root ]]; then move "$travels" "$lies" || :; fi
    done < <(printf '%s\n' "$roots")
    remove "$travelling"
}

case $PARAM_MOVE in
    collect) collect ;;
    *) place ;;
esac
