#!/bin/bash
# Takes away what an earlier job on this machine has left where the guard says why it did not start, or what a restore
# of that job has put there: nothing that lies there is of this job.
readonly reports=/opt/cacheseal/reports

if [[ -d $reports && ! -L $reports ]]; then /bin/chmod u+rwx -- "$reports"; fi
for path in "$reports/guard-failure" "$reports/.guard-failure.new"; do
    if [[ -d $path && ! -L $path ]]; then /bin/chmod -R u+rwx -- "$path"; fi
    /bin/rm -rf -- "$path"
done
