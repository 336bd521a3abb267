#!/bin/bash
# Takes away what an earlier job on this machine has left where the guard says why it did not start, where caches arrive
# and wait for their places, or what a restore of that job has put there: nothing that lies there is of this job.
readonly reports=/opt/cacheseal/reports

if [[ -d $reports && ! -L $reports ]]; then /bin/chmod u+rwx -- "$reports"; fi
leftover=("$reports/guard-failure" "$reports/.guard-failure.new")
# With any white space between: a list may have a name a line.
IFS=$' \t\n' read -r -d '' -a caches < <(printf '%s\0' "$PARAM_CACHES")
for cache in "${caches[@]}"; do
    if [[ $cache =~ ^[a-z0-9-]+$ ]]; then leftover+=("$HOME/.cacheseal-$cache" "$reports/.collected-$cache"); fi
done
for path in "${leftover[@]}"; do
    if [[ ! -e $path && ! -L $path ]]; then continue; fi
    # What travels may be an earlier job's only copy, where that job could not put it back. It is a cache, which can be
    # made again, and the roots that it is of have to be empty now in any case; so it goes, but not silently.
    printf 'removed what an earlier job has left: %s\n' "$path"
    # Only directories are opened: a file may be a hard link to somebody else's.
    if [[ -d $path && ! -L $path ]]; then /usr/bin/find "$path" -type d ! -perm -0700 -exec /bin/chmod u+rwx -- {} \; || :; fi
    /bin/rm -rf -- "$path"
done
