# Runs one command on a node and sees to it that it ends when nobody wants it any more.
#
# Given: mark, token (of this command alone), expiry (seconds without a line after which the controller counts as gone),
# grace (seconds from SIGTERM to SIGKILL), folder (where to run; below the home folder), name (of the machine), turn (that
# of the session that holds the lock), apart (not empty: its stderr stays stderr), `environment`, which sets the command's
# environment, and the command as positional parameters. Standard input brings a line now and then; its end asks for the
# command's end.
# Said on stdout: start | no WHAT | end STATUS, around what the command writes. Said on stderr: event LINE | over, which
# may come later than the end, and is waited for by whoever hears it: then the input ends.
#
# Nothing that a command says is written to the node's disk: the events file is a FIFO.

say() { printf '\036%s %s\n' "$mark" "$*"; }
# Shells differ in how a group is named.
to_group() { kill -s "$1" -- "-$step" || kill -s "$1" "-$step"; }
pause() { sleep 0.1 2>/dev/null || sleep 1; }
# hear: waits for a line, in time. Some shells can do that by themselves, and all say so in the same way.
read -t 1 line </dev/null 2>/dev/null
if [ "$?" = 1 ]; then
    hear() { IFS= read -r -t "$expiry" line <&3; }
else
    hear() { timeout "$expiry" sh -c 'IFS= read -r line' <&3 3<&- 7>&- 8>&-; }
fi

say start
cd && CDPATH= cd -- "$folder" 2>/dev/null || { say no folder; exit 1; }
exec 3<&0 5>&2 </dev/null 2>/dev/null
# Whoever takes the node's lock next waits until this is over.
here=$HOME/.tidegate
command exec 8>>"$here/$name.steps" && flock -s 8 || { say no home; exit 1; }
now=
IFS= read -r now <"$here/$name.turn"
[ "$now" = "$turn" ] || { say no turn; exit 1; }
# A guard goes back only when nothing is under way. One is armed before the command, or not at all.
if [ -d "$here/$name.guard" ]; then
    command exec 7>>"$here/$name.command" && flock 7 || { say no home; exit 1; }
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
        rm -f -- "$events"
        printf '\036%s over\n' "$mark" >&5
    ) &
    listener=$!
fi

# Processes of the command that are in no group of it any more are told by the name of its events file.
marked() {
    [ "$events" != /dev/null ] || return 0
    for process in $(grep -lsF -- "TIDEGATE_EVENTS=$events" /proc/[0-9]*/environ); do
        process=${process#/proc/}
        echo "${process%/environ}"
    done
}

# What a shell begins in the background is deaf to SIGINT and SIGQUIT, and so is all that it starts. Newer ones of `env`
# mend that; whether this one does is found out once on a node.
heals=
if [ -x /usr/bin/env ]; then
    known=$here/$name.signals
    [ -f "$known" ] ||
        if /usr/bin/env --default-signal=INT,QUIT true; then echo yes; else echo no; fi >"$known"
    IFS= read -r heals <"$known"
    # It would take such a name for a variable.
    case $1 in *=*) heals= ;; esac
fi

session=/usr/bin/setsid
[ -x "$session" ] || session=$(command -v setsid)
(
    if [ -n "$apart" ]; then exec 2>&5; else exec 2>&1; fi
    exec 3<&- 5>&- 6>&- 7>&- 8>&-
    [ "$heals" != yes ] || set -- /usr/bin/env --default-signal=INT,QUIT -- "$@"
    set -- ${session:+"$session"} "$@"
    export TIDEGATE_EVENTS="$events"
    # From here on no variable is ours.
    environment
    exec "$@"
) &
step=$!

(
    while hear; do
        # A guard that goes back wants it ended, too.
        [ ! -d "$here/$name.guard/over" ] || break
    done
    trap '' TERM
    exec >/dev/null
    to_group TERM || kill -s TERM "$step"
    for process in $(marked); do kill -s TERM "$process"; done
    # By the clock: looking takes its time, too. And by rounds, if somebody sets the clock.
    waited=0 until=$(($(date +%s) + grace))
    while to_group 0 || [ -n "$(marked)" ]; do
        if [ "$waited" -ge $((grace * 10)) ] || [ "$(date +%s)" -gt "$until" ]; then break; fi
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
# Nothing happens on the node from here on, however long it takes to say so, and if nobody hears it any more.
exec 7>&- 8>&-
trap '' PIPE
# That is how `env` says that it cannot do it any more.
[ "$status" != 125 ] || [ "$heals" != yes ] || rm -f -- "$known"
say end "$status"
if [ "$events" = /dev/null ]; then
    printf '\036%s over\n' "$mark" >&5
    exit
fi
# A line of its own, whatever the command left unfinished. Whoever reads events beside us may get it instead.
printf '\n%s\n' "$mark" >&6
while IFS= read -r line <&3; do :; done
waited=0
while [ -p "$events" ] && [ "$waited" -lt 20 ]; do
    waited=$((waited + 1))
    pause
done
if [ -p "$events" ]; then
    kill -s TERM "$listener"
    rm -f -- "$events"
fi
