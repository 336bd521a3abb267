#!/bin/bash
# Seals what the guard has seen arrive in empty or verified roots.
readonly program=/opt/cacheseal/bin/cacheseal

if [[ -z ${!PARAM_KEY} && -n $CIRCLE_PR_NUMBER ]]; then
    printf 'This is a build of a fork and has no key in %s: nothing is sealed and nothing is saved.\n' "$PARAM_KEY"
    # What is left of the job saves what was to be sealed. In a container of CircleCI's the agent is in /bin.
    for directory in /bin /usr/bin /usr/local/bin /opt/circleci/bin; do
        if [[ -x $directory/circleci-agent ]]; then
            "$directory/circleci-agent" step halt
            exit 0
        fi
    done
    printf 'expected circleci-agent in /bin, /usr/bin, /usr/local/bin or /opt/circleci/bin; found none: %s\n' \
        'this job fails, so that it saves nothing unsealed' >&2
    exit 5
fi
arguments=(seal --guard --policy "$PARAM_POLICY" --key-env "$PARAM_KEY")
while IFS= read -r binding; do
    if [[ -n $binding ]]; then arguments+=(--bind "$binding"); fi
done < <(printf '%s\n' "$PARAM_BINDINGS")
if [[ $PARAM_WORKSPACE == true || $PARAM_WORKSPACE == 1 ]]; then
    belows=() spellings=()
    roots=$("$program" policy roots --policy "$PARAM_POLICY" -- "$PARAM_CACHE")
    while IFS= read -r root; do
        below=${root#\~/} below=${below#/}
        # Of `x`, `~/x` and `/x` the other job can persist one alone, and one in another would be sealed twice.
        for i in "${!belows[@]}"; do
            if [[ $below/ == "${belows[i]}"/* || ${belows[i]}/ == "$below"/* ]]; then
                printf 'expected roots that are apart below the workspace; found %s and %s, %s: %s\n' \
                    "${spellings[i]}" "$root" 'which both lie there without their ~/ or /' \
                    'name the one otherwise, or seal with the command save' >&2
                exit 5
            fi
        done
        belows+=("$below") spellings+=("$root")
        arguments+=(--root "/opt/cacheseal/workspace/$below=$root")
    done < <(printf '%s\n' "$roots")
    # Nothing but the workspace has arrived since the guard started, and it went where this job wanted it.
    "$program" guard check --policy "$PARAM_POLICY"
fi
exec "$program" "${arguments[@]}" -- "$PARAM_CACHE"
