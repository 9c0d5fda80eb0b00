# Runs one command on a node and sees to it that it ends when nobody wants it any more.
#
# Given: mark, token (of this command alone), expiry (seconds without a line after which the controller counts as gone), grace (seconds from SIGTERM to
# SIGKILL), folder (where to run; below the home folder), name (of the machine), apart (not empty: its stderr stays stderr), `environment`, which
# sets the command's environment, and the command as positional parameters. Standard input brings a line now and then;
# its end asks for the command's end.
# Said on stdout: start | no WHAT | end STATUS, around what the command writes. Said on stderr: event LINE | over.
#
# Nothing here is written to the node's disk: the events file is a FIFO.

say() { printf '\036%s %s\n' "$mark" "$*"; }
# Shells differ in how a group is named.
to_group() { kill -s "$1" -- "-$step" || kill -s "$1" "-$step"; }
pause() { sleep 0.1 2>/dev/null || sleep 1; }

say start
cd && cd -- "$folder" 2>/dev/null || { say no folder; exit 1; }
exec 3<&0 5>&2 </dev/null 2>/dev/null
# Whoever takes the node's lock next waits until this is over.
here=$HOME/.tidegate
exec 8>>"$here/$name.steps"
flock -s 8
# A guard goes back only when nothing is under way. One is armed before the command, or not at all.
if [ -d "$here/$name.guard" ]; then
    exec 7>>"$here/$name.command"
    flock 7
    [ ! -d "$here/$name.guard/over" ] || { say no guard; exit 1; }
fi

events=$here/$name.events.$token
(umask 077; exec mkfifo "$events") && exec 6<>"$events" || events=/dev/null
if [ "$events" != /dev/null ]; then
    (
        exec 3<&- 7>&- 8>&-
        while IFS= read -r line <&6; do
            [ "$line" = "$mark" ] && break
            printf '\036%s event %s\n' "$mark" "$line" >&5
        done
    ) &
    listener=$!
fi

# Processes of the command that are in no group of it any more are told by the name of its events file.
marked() {
    [ "$events" != /dev/null ] || return 0
    for process in /proc/[0-9]*; do
        grep -qs "TIDEGATE_EVENTS=$events" "$process/environ" && echo "${process#/proc/}"
    done
}

session=/usr/bin/setsid
[ -x "$session" ] || session=$(command -v setsid)
(
    if [ -n "$apart" ]; then exec 2>&5; else exec 2>&1; fi
    exec 3<&- 5>&- 6>&- 7>&- 8>&-
    set -- ${session:+"$session"} "$@"
    export TIDEGATE_EVENTS="$events"
    # From here on no variable is ours.
    environment
    exec "$@"
) &
step=$!

(
    while timeout "$expiry" sh -c 'IFS= read -r line' <&3 3<&- 7>&- 8>&-; do
        # A guard that goes back wants it ended, too.
        [ ! -d "$here/$name.guard/over" ] || break
    done
    trap '' TERM
    exec >/dev/null
    to_group TERM || kill -s TERM "$step"
    for process in $(marked); do kill -s TERM "$process"; done
    waited=0
    while to_group 0 || [ -n "$(marked)" ]; do
        [ "$waited" -ge $((grace * 10)) ] && break
        waited=$((waited + 1))
        pause
    done
    to_group KILL || kill -s KILL "$step"
    for process in $(marked); do kill -s KILL "$process"; done
) &
watcher=$!

wait "$step"
status=$?
kill -s TERM "$watcher"
wait "$watcher"
if [ "$events" != /dev/null ]; then
    # A line of its own, whatever the command left unfinished.
    printf '\n%s\n' "$mark" >&6
    wait "$listener"
    rm -f -- "$events"
fi
printf '\036%s over\n' "$mark" >&5
say end "$status"
