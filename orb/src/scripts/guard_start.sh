#!/bin/bash
# Runs the guard until the job ends. It keeps PATH and the variables of the job: those are what it watches.
readonly program=/opt/cacheseal/bin/cacheseal
# What the step that waits shows if the guard did not start.
readonly failure=/opt/cacheseal/reports/guard-failure

arguments=(guard start --foreground)
case $PARAM_NO_RESTORE in true | 1) arguments+=(--no-restore) ;; esac
case $PARAM_REPORT_ONLY in true | 1) arguments+=(--report-only) ;; esac
while IFS= read -r path; do
    if [[ -n $path ]]; then arguments+=(--allow "$path"); fi
done < <(printf '%s\n' "$PARAM_ALLOW")
# The job `seal` puts each root below the workspace, by the root's path without `~/` or `/`.
for root in "$PARAM_ROOT" "$PARAM_ROOT_2" "$PARAM_ROOT_3" "$PARAM_ROOT_4"; do
    below=${root#\~/}
    if [[ -n $root ]]; then arguments+=(--root "/opt/cacheseal/workspace/${below#/}=$root"); fi
done
IFS=' ' read -r -a caches < <(printf '%s\n' "$PARAM_CACHES")

status=0
"$program" "${arguments[@]}" -- "${caches[@]}" 2>"$failure.txt" || status=$?
/bin/cat "$failure.txt" >&2
if ((status != 0)); then printf '%s\n' "$status" >"$failure"; fi
exit "$status"
