#!/bin/bash
# Moves what was sealed from the workspace to where the policy has it, since a cache is restored to where it was saved.
for root in "$PARAM_ROOT" "$PARAM_ROOT_2" "$PARAM_ROOT_3" "$PARAM_ROOT_4"; do
    [[ -n $root ]] || continue
    below=${root#\~/}
    from=/opt/cacheseal/workspace/${below#/}
    to=$root
    if [[ $root == \~/* ]]; then to=$HOME/$below; fi
    # A root that was absent is sealed as absent.
    [[ -d $from ]] || continue
    if [[ -e $to || -L $to ]]; then
        printf 'expected nothing at %s, where the sealed root belongs\n' "$to" >&2
        exit 5
    fi
    case $to in */*) /bin/mkdir -p -- "${to%/*}" ;; esac
    /bin/mv -- "$from" "$to"
done
