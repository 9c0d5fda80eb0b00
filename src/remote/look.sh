# Looks whether a node is fit for what the other scripts do there, and stays until its input ends. Nothing stays changed.
#
# Given: mark.
# Said:  start | no WHAT, or fit

say() { printf '\036%s %s\n' "$mark" "$*"; }

say start
cd || { say no home; exit 1; }
here=$HOME/.tidegate
[ -d "$here" ] || here=$HOME
[ -w "$here" ] || { say no home; exit 1; }
for tool in flock timeout mkfifo head; do
    command -v "$tool" >/dev/null 2>&1 || { say no "$tool"; exit 1; }
done
# That of busybox was once told the time in another way.
timeout 1 true 2>/dev/null || { say no timeout; exit 1; }
command -v sha256sum >/dev/null 2>&1 || command -v shasum >/dev/null 2>&1 || command -v openssl >/dev/null 2>&1 ||
    { say no sha256sum; exit 1; }
# What a deploy writes first is a line: whether there is room for it, and nothing is left of it.
room=$here/.tidegate.look.$$
(umask 077; set -C; printf 'room\n' >"$room") 2>/dev/null
status=$?
rm -f -- "$room"
[ "$status" = 0 ] || { say no room; exit 1; }
say fit
IFS= read -r line
