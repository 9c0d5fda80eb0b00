# Arms the guard of a deploy: a process that stays on the node and makes it go back by itself unless it is told in time
# that the node still answers.
#
# Given: mark, owner (whose it is: a file's name), version (that it goes back to), within (seconds that it waits; a beat of
# the deploy's connection begins them anew), limit (seconds that going back may take), folder, count (of files that the
# deploy replaces), as positional parameters these files, then the command that goes back; and `environment`, which sets
# that command's environment. It lives in this process alone: nothing of it is on the disk.
# Said:  start | no WHAT | armed | done

say() { printf '\036%s %s\n' "$mark" "$*"; }

say start
umask 077
cd || { say no home; exit 1; }
here=$HOME/.tidegate
name=$(uname -n)
guard=$here/$name.guard
rm -rf -- "$guard" "$here/$name.told.$owner"
mkdir -- "$guard" && printf '%s\n' "$owner" >"$guard/owner" || { say no room; exit 1; }

# What is there now lives on under a second name; a deploy replaces files and never writes into them.
kept() { printf '%s/.%s.tidegate.back' "${1%/*}" "${1##*/}"; }
files=
while [ "$count" -gt 0 ]; do
    count=$((count - 1))
    if [ -f "$1" ]; then
        old=$(kept "$1")
        ln -f -- "$1" "$old" 2>/dev/null || cp -p -- "$1" "$old" 2>/dev/null || { say no room; exit 1; }
        files="$files$1
"
    fi
    shift
done
each() {
    printf %s "$files" | {
        failed=0
        while IFS= read -r file; do "$1" "$file" || failed=1; done
        return "$failed"
    }
}
forget() { rm -f -- "$(kept "$1")"; }
restore() { mv -f -- "$(kept "$1")" "$1"; }

bound=$(command -v timeout)
(
    trap '' HUP
    exec </dev/null >"$guard/log" 2>&1
    exec 8>>"$here/$name.steps"
    flock -s 8
    waited=0 beat=
    while [ "$waited" -lt "$within" ]; do
        if [ -e "$guard/taken" ]; then
            # Whoever holds the lock now goes back, or on, by other means.
            each forget
            exit
        fi
        if [ -e "$guard/over" ]; then
            each forget
            rm -rf -- "$guard"
            exit
        fi
        sleep 1
        waited=$((waited + 1)) now=
        if [ -f "$guard/beat" ]; then IFS= read -r now <"$guard/beat"; fi
        [ "$now" = "$beat" ] || { beat=$now waited=0; }
    done
    mkdir -- "$guard/over" || { each forget; rm -rf -- "$guard"; exit; }
    # What the deploy began ends first: its own side looks at `over` with every line that it gets.
    exec 7>>"$here/$name.command"
    flock 7
    printf 'a guard, which goes back to %s by itself\n' "$version" >"$here/$name.holder"
    status=0
    each restore || status=1
    if [ "$#" -gt 0 ] && [ "$status" = 0 ]; then
        cd -- "$folder" && ( exec 7>&- 8>&-; set -- "$bound" -k 10 "$limit" "$@"; export TIDEGATE_EVENTS=/dev/null; environment; exec "$@" )
        status=$?
    fi
    printf '%s %s %s\n' "$(date +%s)" "$status" "$version" >"$guard/result"
    cp -- "$guard/result" "$here/$name.back.$owner"
) &
say armed
say done
