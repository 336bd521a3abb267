#!/bin/bash
# A step in the background cannot fail the job; this one does, if the guard did not start or is not ready in time.
readonly program=/opt/cacheseal/bin/cacheseal

if [[ ! -x $program ]]; then
    printf 'expected %s; found none: cacheseal/install comes before the guard\n' "$program" >&2
    exit 5
fi
# With any white space between: a list may have a name a line.
IFS=$' \t\n' read -r -d '' -a caches < <(printf '%s\0' "$PARAM_CACHES")
# Nothing was restored yet, and the step before the guard's has emptied this place.
exec "$program" guard wait --policy "$PARAM_POLICY" --timeout "$PARAM_TIMEOUT" \
    --failure-file /opt/cacheseal/reports/guard-failure -- "${caches[@]}"
