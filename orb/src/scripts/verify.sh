#!/bin/bash
# The first step after a restore. Nothing here is looked up on PATH, and nothing is read that a restore could have
# written, but by the verifier and the guard.
readonly program=/opt/cacheseal/bin/cacheseal

if [[ ! -x $program ]]; then
    printf 'expected %s; found none: cacheseal/install comes before the restore\n' "$program" >&2
    exit 5
fi
[[ $PARAM_CACHE =~ ^[a-z0-9-]+$ ]] || {
    printf 'expected the name of a cache: a-z, 0-9 and -\n' >&2
    exit 2
}
# A directory that only root can replace, emptied of whatever a restore has put there.
readonly reports=/opt/cacheseal/reports/$PARAM_CACHE
/bin/rm -rf -- "$reports"
/bin/mkdir -p -- "$reports/junit"

arguments=(verify --guard --policy "$PARAM_POLICY" --gate "$PARAM_GATE")
case $PARAM_EXPLAIN in true | 1) arguments+=(--explain) ;; esac
if [[ -n $PARAM_REVOCATIONS ]]; then
    [[ $PARAM_REVOCATIONS =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || {
        printf 'revocations: expected the name of a variable\n' >&2
        exit 2
    }
    # A variable that is missing makes an empty list, which is refused.
    printf '%s\n' "${!PARAM_REVOCATIONS}" >"$reports/revoked.toml"
    arguments+=(--revocations "$reports/revoked.toml")
fi
reported=("${arguments[@]}" --report "text=$reports/report.txt" --report "json=$reports/report.json" --report
    "junit=$reports/junit/cacheseal.xml")
if [[ $PARAM_ON_MISS == continue ]]; then reported+=(--allow-miss); fi
if [[ $PARAM_ON_REFUSAL == discard ]]; then reported+=(--on-refusal purge); fi

status=0
"$program" "${reported[@]}" -- "$PARAM_CACHE" || status=$?
case $status in
    0) exit 0 ;;
    10 | 11 | 13 | 14) [[ $PARAM_ON_REFUSAL == discard ]] || exit "$status" ;;
    # A stray write, an unsafe archive, a changed policy, an error: the job is over, whatever the parameters say.
    *) exit "$status" ;;
esac

# Discarded: only if nothing else was written, and if what was refused is really gone.
"$program" guard check --policy "$PARAM_POLICY"
left=0
"$program" "${arguments[@]}" -- "$PARAM_CACHE" || left=$?
if ((left != 3)); then
    printf 'cacheseal/verify: the refused cache %s could not be removed\n' "$PARAM_CACHE" >&2
    exit "$status"
fi
printf '\n*** CACHE REFUSED AND DISCARDED: %s, exit status %s. See the report, and find out who saved it. ***\n' \
    "$PARAM_CACHE" "$status" >&2
if [[ $PARAM_ON_MISS != continue ]]; then exit 3; fi
