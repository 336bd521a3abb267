#!/bin/bash
# Before anything is published. Nothing here is looked up on PATH.
readonly program=/opt/cacheseal/bin/cacheseal

if [[ ! -x $program ]]; then
    printf 'expected %s; found none: cacheseal/install comes before the restore\n' "$program" >&2
    exit 5
fi
# With any white space between: a list may have a name a line.
IFS=$' \t\n' read -r -d '' -a caches < <(printf '%s\0' "$PARAM_CACHES")
arguments=(guard recheck --policy "$PARAM_POLICY")
case $PARAM_FULL in true | 1) arguments+=(--full) ;; esac
while IFS= read -r pattern; do
    if [[ -n $pattern ]]; then arguments+=(--allow-new "$pattern"); fi
done < <(printf '%s\n' "$PARAM_ALLOW_NEW")

status=0
"$program" "${arguments[@]}" -- "${caches[@]}" || status=$?
# Of several reasons a miss is the last: with 3 there is no other.
if ((status == 3)) && [[ $PARAM_ON_MISS == continue ]]; then exit 0; fi
exit "$status"
