# The first session with a node: takes the node's lock, waits out or disarms the guard of an earlier deploy, and holds
# the lock as long as lines come.
#
# Given: mark, by (for people: who holds the lock), owner (who may disarm a guard: a file's name), expiry (seconds
# without a line after which the controller counts as gone).
# A line that says `guard` keeps the guard of this deploy waiting.
# Said:  start | no WHAT | locked BY | back WHEN STATUS | armed | ready (a line is waited for) | name NAME | path PATH | home HOME | held

say() { printf '\036%s %s\n' "$mark" "$*"; }

# After a wait: whoever waited may be gone, and must not act on what has become of the node since.
still_there() {
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
name=$(uname -n)
lock=$here/$name.lock steps=$here/$name.steps holder=$here/$name.holder guard=$here/$name.guard
{ exec 9>>"$lock" 8>>"$steps"; } 2>/dev/null || { say no home; exit 1; }

if ! flock -n 9; then
    who=
    IFS= read -r who 2>/dev/null <"$holder"
    say locked "$who"
    flock 9 || { say no flock; exit 1; }
    still_there
fi

# A guard goes on although nobody holds the lock. Whoever armed it may take over; others wait until it is over.
if [ -f "$guard/owner" ] && [ ! -e "$guard/over" ]; then
    armed_by=
    IFS= read -r armed_by <"$guard/owner"
    if [ "$armed_by" = "$owner" ]; then
        say armed
        : >"$guard/taken"
    fi
fi
if ! flock -n 8; then
    who=
    IFS= read -r who 2>/dev/null <"$holder"
    say locked "$who"
    flock 8 || { say no flock; exit 1; }
    still_there
fi
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
while line=$(timeout "$expiry" sh -c 'IFS= read -r line && printf %s "$line"' 9>&-); do
    [ "$line" = guard ] || continue
    beats=$((beats + 1))
    [ ! -d "$guard" ] || printf '%s\n' "$beats" >"$guard/beat"
done
: >"$holder"
# An upload whose connection is half dead would never learn of it.
placing=
if [ -f "$here/$name.placing" ]; then IFS= read -r placing <"$here/$name.placing"; fi
[ -z "$placing" ] || kill -s KILL "$placing" 2>/dev/null
: >"$here/$name.placing"
