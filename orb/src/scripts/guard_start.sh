#!/bin/bash
# Runs the guard until the job ends. It keeps PATH and the variables of the job: those are what it watches, and those
# that later steps will have. Where it cannot start, the step that waits shows why.
readonly program=/opt/cacheseal/bin/cacheseal

# Every later step reads the file that BASH_ENV names, as this does now, while nothing has been restored. The file may
# say what it likes and leave processes behind: what is told is the environment alone.
later_environment() {
    local timeout limit=()
    for timeout in /usr/bin/timeout /bin/timeout; do
        if [[ -x $timeout ]]; then limit=("$timeout" -s KILL 10); fi
    done
    # shellcheck disable=SC2016 # That shell is to expand it, and reads the name of the file as bash does.
    "${limit[@]}" /bin/bash -p -c '
        eval "file=\"$BASH_ENV\""
        if [[ -f $file ]]; then source "$file"; fi </dev/null >/dev/null 2>&1
        exec /usr/bin/env -0'
}

# Reports are written between a restore and the next, over whatever a restore has put there.
arguments=(guard start --foreground --policy "$PARAM_POLICY" --allow /opt/cacheseal/reports)
case $PARAM_NO_RESTORE in true | 1) arguments+=(--no-restore) ;; esac
case $PARAM_REPORT_ONLY in true | 1) arguments+=(--report-only) ;; esac
while IFS= read -r path; do
    if [[ -n $path ]]; then arguments+=(--allow "$path"); fi
done < <(printf '%s\n' "$PARAM_ALLOW")
# With any white space between: a list may have a name a line.
IFS=$' \t\n' read -r -d '' -a caches < <(printf '%s\0' "$PARAM_CACHES")
# The job `seal` finds each root below the workspace, by the root's path without `~/` or `/`; what else lies there goes
# nowhere.
case $PARAM_WORKSPACE in
    true | 1)
        arguments+=(--allow /opt/cacheseal/workspace)
        # The guard reports a policy that cannot be read, and the next step shows it.
        while IFS= read -r root; do
            below=${root#\~/}
            arguments+=(--root "/opt/cacheseal/workspace/${below#/}=$root")
        done < <("$program" policy roots --policy "$PARAM_POLICY" -- "${caches[0]}" 2>/dev/null)
        ;;
esac

"$program" "${arguments[@]}" --environment-of <(later_environment) \
    --failure-file /opt/cacheseal/reports/guard-failure -- "${caches[@]}"
