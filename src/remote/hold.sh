# The first session with a node: takes the node's lock, waits out or disarms the guard of an earlier deploy, and holds
# the lock as long as lines come.
#
# Given: mark, by (for people: who holds the lock), owner (who may disarm a guard: a file's name), turn (what tells this
# session from all others), expiry (seconds without a line after which the controller counts as gone).
# A line that says `guard` keeps the guard of this deploy waiting.
# Said:  start | no WHAT | locked BY | back WHEN STATUS | armed | ready (a line is waited for) | name NAME | path PATH | home HOME | held
#
# Every program that is run here is run for every deploy of every node: what the shell can do itself, it does.

say() { printf '\036%s %s\n' "$mark" "$*"; }

# hear: waits for a line, in time. Some shells can do that by themselves, and all say so in the same way.
read -t 1 line </dev/null 2>/dev/null
if [ "$?" = 1 ]; then
    hear() { IFS= read -r -t "$expiry" line; }
else
    hear() {
        line=
        timeout "$expiry" sh -c 'IFS= read -r line || exit 1; [ "$line" != guard ] || exit 7' 9>&-
        case $? in
            0) ;;
            7) line=guard ;;
            12[567]) say no timeout; return 1 ;;
            *) return 1 ;;
        esac
    }
fi

# lock FD: waits for it; another run has it, and is named meanwhile.
lock() {
    flock -n "$1" && return
    who=
    IFS= read -r who 2>/dev/null <"$holder"
    say locked "$who"
    flock "$1" || { say no flock; exit 1; }
    # Whoever waited may be gone, and must not act on what has become of the node since.
    say ready
    hear || exit 1
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
# Without `command` some shells end here, and nothing would be said.
command exec 9>>"$here/$name.lock" 2>/dev/null && command exec 8>>"$here/$name.steps" 2>/dev/null ||
    { say no home; exit 1; }
lock 9

# A guard goes on although nobody holds the lock. Whoever armed it may take over; others wait until it is over.
if [ -f "$guard/owner" ] && [ ! -e "$guard/over" ]; then
    armed_by=
    IFS= read -r armed_by <"$guard/owner"
    # Only one of us makes this folder: a guard that was faster goes back, and that is waited for.
    if [ "$armed_by" = "$owner" ] && mkdir -- "$guard/over" 2>/dev/null; then say armed; fi
fi
lock 8
# Now nothing of anybody's is under way, and what begins from now on must know this.
printf '%s\n' "$turn" >"$here/$name.turn" || { say no room; exit 1; }
: >"$here/$name.placing"
exec 8>&-
if [ -d "$guard" ]; then
    # One that is gone without a word has left what it kept.
    while IFS= read -r file; do
        rm -f -- "${file%/*}/.${file##*/}.tidegate.back"
    done 2>/dev/null <"$guard/kept"
    rm -rf -- "$guard"
fi
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
while hear; do
    if [ "$line" = guard ] && [ -d "$guard" ]; then
        command : >"$guard/beat"
    fi
done
: >"$here/$name.turn"
: >"$holder"
# An upload whose connection is half dead would never learn of it. Whether it is one is seen by what it holds: its id
# may be a stranger's by now.
placing=
IFS= read -r placing <"$here/$name.placing"
if [ -n "$placing" ]; then
    [ ! "/proc/$placing/fd/8" -ef "$here/$name.steps" ] || kill -s KILL "$placing" 2>/dev/null
    : >"$here/$name.placing"
fi
