# Tells a guard that the node still answers. It may be told twice: an answer may have been lost.
#
# Given: mark, owner (of the guard).
# Said:  start | confirmed, or late (the guard goes back already, or is gone) | done

say() { printf '\036%s %s\n' "$mark" "$*"; }

say start
here=$HOME/.tidegate
name=
IFS= read -r name 2>/dev/null </proc/sys/kernel/hostname || name=$(uname -n)
if mkdir -- "$here/$name.guard/over" 2>/dev/null; then
    : >"$here/$name.told.$owner"
    say confirmed
elif [ -f "$here/$name.told.$owner" ]; then
    say confirmed
else
    say late
fi
say done
