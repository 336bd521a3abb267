#!/bin/bash
# Runs the guard until the job ends. It keeps PATH and the variables of the job: those are what it watches.
readonly program=/opt/cacheseal/bin/cacheseal
# What the step that waits shows if the guard did not start.
readonly failure=/opt/cacheseal/reports/guard-failure

# Reports are written between a restore and the next, over whatever a restore has put there.
arguments=(guard start --foreground --allow /opt/cacheseal/reports)
case $PARAM_NO_RESTORE in true | 1) arguments+=(--no-restore) ;; esac
case $PARAM_REPORT_ONLY in true | 1) arguments+=(--report-only) ;; esac
while IFS= read -r path; do
    if [[ -n $path ]]; then arguments+=(--allow "$path"); fi
done < <(printf '%s\n' "$PARAM_ALLOW")
# The job `seal` finds each root below the workspace, by the root's path without `~/` or `/`; what else lies there goes
# nowhere.
for root in "$PARAM_ROOT" "$PARAM_ROOT_2" "$PARAM_ROOT_3" "$PARAM_ROOT_4"; do
    below=${root#\~/}
    if [[ -n $root ]]; then
        arguments+=(--allow /opt/cacheseal/workspace --root "/opt/cacheseal/workspace/${below#/}=$root")
    fi
done
IFS=' ' read -r -a caches < <(printf '%s\n' "$PARAM_CACHES")

status=0
"$program" "${arguments[@]}" -- "${caches[@]}" 2>"$failure.txt" || status=$?
/bin/cat "$failure.txt" >&2
if ((status != 0)); then printf '%s\n' "$status" >"$failure"; fi
exit "$status"
