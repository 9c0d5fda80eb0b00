# Runs a command with its output in a file: the bytes of a backup go there and not into the log.
# $0: the file; the rest: the command.
umask 077
exec "$@" > "$0"
