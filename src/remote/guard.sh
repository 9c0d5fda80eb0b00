# Arms the guard of a deploy: a process that stays on the node and makes it go back by itself unless it is told in time
# that the node still answers.
#
# Given: mark, name (of the machine), owner (whose it is: a file's name), turn (of the deploy), version (that it goes back to), within (seconds that it waits; a beat of
# the deploy's connection begins them anew), limit (seconds that going back may take), folder, count (of files that the
# deploy replaces), as positional parameters these files, then the command that goes back; and `environment`, which sets
# that command's environment. It lives in this process alone: nothing of it is on the disk.
# Said:  start | no WHAT | armed | done

say() { printf '\036%s %s\n' "$mark" "$*"; }

say start
umask 077
cd || { say no home; exit 1; }
here=$HOME/.tidegate
guard=$here/$name.guard

# What is there now lives on under a second name; a deploy replaces files and never writes into them.
kept() { printf '%s/.%s.tidegate.back' "${1%/*}" "${1##*/}"; }
files=
each() {
    printf %s "$files" | {
        failed=0
        while IFS= read -r file; do "$1" "$file" || failed=1; done
        return "$failed"
    }
}
forget() { rm -f -- "$(kept "$1")"; }
# What was not replaced is still the same file, which `mv` would not take for its own place.
restore() {
    if [ "$(kept "$1")" -ef "$1" ]; then forget "$1"; else mv -f -- "$(kept "$1")" "$1"; fi
}
# As if it had never been.
no_room() {
    each forget
    rm -rf -- "$guard"
    say no room
    exit 1
}

# Whoever takes the node next waits for a guard from the moment on at which it is armed.
command exec 8>>"$here/$name.steps" && flock -s 8 || { say no home; exit 1; }
now=
IFS= read -r now <"$here/$name.turn"
[ "$now" = "$turn" ] || { say no turn; exit 1; }
# A guard that could not end what it runs is worse than none.
timeout -k 1 1 true 2>/dev/null || { say no timeout; exit 1; }

rm -rf -- "$guard" "$here/$name.told.$owner"
mkdir -- "$guard" && printf '%s\n' "$owner" "$turn" >"$guard/owner" || no_room
# Empty files, whose times are looked at: a beat finds its way on a full disk, too.
command : >"$guard/seen" && command : >"$guard/beat" || no_room
while [ "$count" -gt 0 ]; do
    count=$((count - 1))
    if [ -f "$1" ]; then
        files="$files$1
"
        old=$(kept "$1")
        ln -f -- "$1" "$old" 2>/dev/null || cp -p -- "$1" "$old" 2>/dev/null || no_room
    fi
    shift
done
# For whoever finds that the guard itself is gone.
printf %s "$files" >"$guard/kept" || no_room

bound=$(command -v timeout)
(
    trap '' HUP
    # What its command writes may be secret, and nobody is there to mask it.
    exec </dev/null >/dev/null 2>&1
    waited=0
    while [ "$waited" -lt "$within" ]; do
        # It was told that the node answers, or whoever has the lock now goes back, or on, by other means.
        if [ -e "$guard/over" ]; then
            each forget
            rm -rf -- "$guard"
            exit
        fi
        sleep 1
        waited=$((waited + 1))
        if [ "$guard/beat" -nt "$guard/seen" ]; then
            waited=0
            command : >"$guard/seen"
        fi
    done
    # A full disk must not keep it from going back.
    mkdir -- "$guard/over" || [ ! -d "$guard/over" ] || { each forget; rm -rf -- "$guard"; exit; }
    # What the deploy began ends first: its own side looks at `over` with every line that it gets.
    command exec 7>>"$here/$name.command" && flock 7
    printf 'a guard, which goes back to %s by itself\n' "$version" >"$here/$name.holder"
    status=0
    each restore || status=1
    # Also without a file that could not be put back: it may be what brings the node back.
    if [ "$#" -gt 0 ]; then
        (
            CDPATH= cd -- "$folder" || exit
            exec 7>&- 8>&-
            # It is to hear signals as any command does, where `env` can see to that.
            case $1 in
                *=*) ;;
                *) ! env --default-signal=INT,QUIT,HUP true || set -- env --default-signal=INT,QUIT,HUP -- "$@" ;;
            esac
            set -- "$bound" -k 10 "$limit" "$@"
            export TIDEGATE_EVENTS=/dev/null
            environment
            exec "$@"
        )
        ended=$?
        [ "$status" != 0 ] || status=$ended
    fi
    printf '%s %s %s\n' "$(date +%s)" "$status" "$version" >"$guard/result"
    cp -- "$guard/result" "$here/$name.back.$owner"
) &
say armed
say done
