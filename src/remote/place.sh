# Puts files in place on a node, one after the other, as told on standard input: a line is a call of a function below,
# and what follows a `put` are that file's bytes. Every call is answered before the next is sent.
#
# Given: mark, name (of the machine), turn (that of the session that holds the lock).
# Said:  start | no WHAT, or ready | for `look`: same, part BYTES DIGEST, new | for `put`: go, whole, failed WHY | for `keep`: kept,
# failed WHY

say() { printf '\036%s %s\n' "$mark" "$*"; }

digest() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum <"$1"
    elif command -v shasum >/dev/null 2>&1; then
        shasum -a 256 <"$1"
    else
        openssl dgst -sha256 -r <"$1"
    fi 2>/dev/null | cut -c1-64
}
# A file that nobody has touched since we wrote or read it need not be read again: inode, size and both times say so.
placed=$HOME/.tidegate/$name.placed
stamp() { stat -c '%i %s %y %z' -- "$1" 2>/dev/null; }
is_noted() {
    now=$(stamp "$1") && [ -n "$now" ] && grep -qsxF -- "$now $2 $1" "$placed"
}
note() {
    now=$(stamp "$1") && [ -n "$now" ] && printf '%s %s %s\n' "$now" "$2" "$1" 2>/dev/null >>"$placed"
}
size() { wc -c <"$1" 2>/dev/null | tr -d ' '; }
mode() { ls -ld -- "$1" 2>/dev/null | cut -c1-10; }
fail() {
    # In one line; what was on its way must not be read as calls.
    say failed "$(printf %s "$1" | tr '\n' ' ')"
    : >"$here/$name.placing"
    exit 1
}

# take COUNT FILE: that many bytes of the input are added to a file. `head` reads small pieces, so `dd` takes all that is
# whole blocks, where there is one that fills them.
take() {
    blocks=0
    if [ "$1" -ge 1048576 ] && dd bs=1 count=0 iflag=fullblock status=none </dev/null >/dev/null 2>&1; then
        blocks=$(($1 / 131072))
        dd bs=131072 count="$blocks" iflag=fullblock status=none 2>&1 8>&- >>"$2" || return
    fi
    [ "$(($1 - blocks * 131072))" = 0 ] || head -c "$(($1 - blocks * 131072))" 2>&1 8>&- >>"$2"
}

# look TO PART MODE SIZE DIGEST: what is there of a file with this mode (as `ls` shows it), size and digest.
look() {
    if [ "$(mode "$1")" = "$3" ] && [ "$(size "$1")" = "$4" ]; then
        is_noted "$1" "$5" && { say same; return; }
        before=$(stamp "$1")
        if [ "$(digest "$1")" = "$5" ]; then
            # Somebody may have changed it meanwhile.
            [ "$(stamp "$1")" != "$before" ] || note "$1" "$5"
            say same
            return
        fi
    fi
    if [ -f "$2" ] && [ ! -h "$2" ] && [ -s "$2" ]; then
        say part "$(size "$2")" "$(digest "$2")"
    else
        say new
    fi
}

# put TO PART SIZE FROM: the next SIZE - FROM bytes are the rest of the file from byte FROM on.
put() {
    [ ! -d "$1" ] || fail "it is a folder there; to put it into that folder, end \`to\` with \`/\`"
    parent=${1%/*}
    error=$(mkdir -p -- "${parent:-/}" 2>&1) || fail "$error"
    if [ "$4" = 0 ]; then
        # Parts of other contents, too, whose uploads were never finished: they may be what fills the disk.
        rm -rf -- "$2" "${2%-*}"-*
        error=$( (umask 077; set -C; : >"$2") 2>&1) || fail "$error"
    fi
    say go
    if [ "$3" != "$4" ]; then
        # What could not be written is not asked for again from there: a full disk must not stay full of it.
        error=$(take $(($3 - $4)) "$2") || { rm -f -- "$2"; fail "$error"; }
    fi
    [ "$(size "$2")" = "$3" ] || fail "$(size "$2") of $3 bytes are there"
    say whole
}

# keep TO PART MODE (octal) DIGEST: the part is the file.
keep() {
    # A guard goes back only when nothing is under way, and nothing is put in place after it has.
    if [ -d "$here/$name.guard" ]; then
        command exec 7>>"$here/$name.command" && flock 7 || fail "no room for a line in \`$here\`"
        [ ! -d "$here/$name.guard/over" ] || fail "a guard made the node go back meanwhile"
    fi
    error=$(chmod -- "$3" "$2" 2>&1) || fail "$error"
    error=$(mv -f -- "$2" "$1" 2>&1) || fail "$error"
    # Parts of other contents, whose uploads were never finished.
    rm -f -- "${2%-*}"-*
    exec 7>&-
    note "$1" "$4"
    say kept
}

say start
here=$HOME/.tidegate
command exec 8>>"$here/$name.steps" 2>/dev/null && flock -s 8 || { say no home; exit 1; }
now=
IFS= read -r now 2>/dev/null <"$here/$name.turn"
[ "$now" = "$turn" ] || { say no turn; exit 1; }
printf '%s\n' "$$" >"$here/$name.placing"
say ready
if [ "$(size "$placed")" -gt 1000000 ] 2>/dev/null; then
    tail -n 2000 "$placed" >"$placed.new" && mv -f -- "$placed.new" "$placed"
fi
while IFS= read -r call; do
    eval "$call"
done
: >"$here/$name.placing"
