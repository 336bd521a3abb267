#!/bin/bash
# A step in the background cannot fail the job; this one does, if the guard did not start or is not ready in time.
readonly program=/opt/cacheseal/bin/cacheseal
readonly failure=/opt/cacheseal/reports/guard-failure

if [[ ! -x $program ]]; then
    printf 'expected %s; found none: cacheseal/install comes before the guard\n' "$program" >&2
    exit 5
fi
IFS=' ' read -r -a caches < <(printf '%s\n' "$PARAM_CACHES")
for ((second = 0; second < PARAM_TIMEOUT; second++)); do
    if [[ -s $failure ]]; then
        /bin/cat "$failure.txt" >&2
        exit "$(<"$failure")"
    fi
    status=0
    said=$("$program" guard wait --timeout 1 -- "${caches[@]}" 2>&1) || status=$?
    if ((status == 0)); then break; fi
done
printf '%s\n' "$said"
exit "$status"
