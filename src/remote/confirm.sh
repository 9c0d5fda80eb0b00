# Tells a guard that the node still answers. It may be told twice: an answer may have been lost.
#
# Given: mark, owner (of the guard), turn (of the deploy that armed it).
# Said:  start | confirmed, or late (the guard goes back already, or is gone) | done

say() { printf '\036%s %s\n' "$mark" "$*"; }

say start
here=$HOME/.tidegate
name=
IFS= read -r name 2>/dev/null </proc/sys/kernel/hostname || name=$(uname -n)
# Another guard may be there by now, and is not ours to turn off.
whose= which=
{ IFS= read -r whose && IFS= read -r which; } 2>/dev/null <"$here/$name.guard/owner"
told=
IFS= read -r told 2>/dev/null <"$here/$name.told.$owner"
if [ "$whose $which" = "$owner $turn" ] && mkdir -- "$here/$name.guard/over" 2>/dev/null; then
    printf '%s\n' "$turn" >"$here/$name.told.$owner"
    say confirmed
elif [ "$told" = "$turn" ]; then
    say confirmed
else
    say late
fi
say done
