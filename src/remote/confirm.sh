# Tells a guard that the node still answers.
#
# Given: mark.
# Said:  start | confirmed, or late (the guard goes back already, or is gone) | done

say() { printf '\036%s %s\n' "$mark" "$*"; }

say start
if mkdir -- "$HOME/.tidegate/$(uname -n).guard/over" 2>/dev/null; then
    say confirmed
else
    say late
fi
say done
