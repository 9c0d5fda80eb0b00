# The first session with a node: takes the node's lock, waits out or disarms the guard of an earlier deploy, and holds
# the lock as long as lines come.
#
# Given: mark, by (for people: who holds the lock), owner (who may disarm a guard: a file's name), expiry (seconds
# without a line after which the controller counts as gone).
# A line that says `guard` keeps the guard of this deploy waiting.
# Said:  start | no WHAT | locked BY | back WHEN STATUS | armed | ready (a line is waited for) | name NAME | path PATH | home HOME | held
#
# Every program that is run here is run for every deploy of every node: what the shell can do itself, it does.

say() { printf '\036%s %s\n' "$mark" "$*"; }

# lock FD: waits for it; another run has it, and is named meanwhile.
lock() {
    flock -n "$1" && return
    who=
    IFS= read -r who 2>/dev/null <"$holder"
    say locked "$who"
    flock "$1" || { say no flock; exit 1; }
    # Whoever waited may be gone, and must not act on what has become of the node since.
    say ready
    timeout "$expiry" sh -c 'IFS= read -r line' || exit 1
}

say start
umask 077
cd || { say no home; exit 1; }
here=$HOME/.tidegate
[ -d "$here" ] || mkdir -p -- "$here" || { say no home; exit 1; }
for tool in flock timeout mkfifo head; do
    command -v "$tool" >/dev/null 2>&1 || { say no "$tool"; exit 1; }
done

# A home folder may be shared by several machines.
name=
IFS= read -r name 2>/dev/null </proc/sys/kernel/hostname || name=$(uname -n)
holder=$here/$name.holder guard=$here/$name.guard
{ exec 9>>"$here/$name.lock" 8>>"$here/$name.steps"; } 2>/dev/null || { say no home; exit 1; }
lock 9

# A guard goes on although nobody holds the lock. Whoever armed it may take over; others wait until it is over.
if [ -f "$guard/owner" ] && [ ! -e "$guard/over" ]; then
    armed_by=
    IFS= read -r armed_by <"$guard/owner"
    # Only one of us makes this folder: a guard that was faster goes back, and that is waited for.
    if [ "$armed_by" = "$owner" ] && mkdir -- "$guard/over" 2>/dev/null; then say armed; fi
fi
lock 8
exec 8>&-
[ ! -d "$guard" ] || rm -rf -- "$guard"
# Of commands whose end nobody could wait for.
for old in "$here/$name".events.*; do
    [ ! -p "$old" ] || rm -f -- "$old"
done
if [ -f "$here/$name.back.$owner" ]; then
    IFS= read -r result <"$here/$name.back.$owner"
    say back "$result"
    rm -f -- "$here/$name.back.$owner"
fi

printf '%s\n' "$by" >"$holder" || { say no room; exit 1; }
say name "$name"
say path "$PATH"
say home "$HOME"
say held
beats=0
while :; do
    timeout "$expiry" sh -c 'IFS= read -r line || exit 1; [ "$line" != guard ] || exit 7' 9>&-
    case $? in
        0) ;;
        7)
            beats=$((beats + 1))
            [ ! -d "$guard" ] || printf '%s\n' "$beats" >"$guard/beat"
            ;;
        *) break ;;
    esac
done
: >"$holder"
# An upload whose connection is half dead would never learn of it.
placing=
if [ -f "$here/$name.placing" ]; then IFS= read -r placing <"$here/$name.placing"; fi
[ -z "$placing" ] || kill -s KILL "$placing" 2>/dev/null
: >"$here/$name.placing"
