#!/bin/bash
# Takes away what an earlier job on this machine has left where the guard says why it did not start, where caches arrive
# and wait for their places, or what a restore of that job has put there: nothing that lies there is of this job.
readonly reports=/opt/cacheseal/reports

if [[ -d $reports && ! -L $reports ]]; then /bin/chmod u+rwx -- "$reports"; fi
leftover=("$reports/guard-failure" "$reports/.guard-failure.new")
IFS=' ' read -r -a caches < <(printf '%s\n' "$PARAM_CACHES")
for cache in "${caches[@]}"; do
    if [[ $cache =~ ^[a-z0-9-]+$ ]]; then leftover+=("$HOME/.cacheseal-$cache"); fi
done
for path in "${leftover[@]}"; do
    if [[ -d $path && ! -L $path ]]; then /bin/chmod -R u+rwx -- "$path"; fi
    /bin/rm -rf -- "$path"
done
