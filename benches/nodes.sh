#!/usr/bin/env bash
# Deploys over ssh beside what does the same without tidegate, by turns in one run, on real sshd processes on loopback:
#
# - a deploy that does nothing to 100 nodes (20 sshd, five addresses each), ten at a time, beside as many `ssh` with
#   multiplexing, ten at a time;
# - 200 MiB to five nodes at once, beside `scp` and `rsync`; and the same again, when it is there already.
#
# Needs sshd, ssh, scp, rsync and the release build; writes rows for docs/benchmarks.md. `nodes.sh TURNS` (default 3).
set -euo pipefail
cd "$(dirname "$0")/.."
turns=${1:-3}
target=${CARGO_TARGET_DIR:-target}
tidegate=$(realpath -m "$target/release/tidegate")
[ -x "$tidegate" ] || cargo build --release --locked --quiet
place=$(mktemp -d)
started=()
trap 'for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$place"' EXIT
cd "$place"

sshd=$(command -v sshd || echo /usr/sbin/sshd)
if [ ! -x "$sshd" ]; then
    echo "nodes.sh: there is no sshd here, so nothing is measured" >&2
    exit 0
fi
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
sftp=$(ls /usr/lib/openssh/sftp-server /usr/libexec/sftp-server /usr/lib/ssh/sftp-server 2>/dev/null | head -1 || true)
ssh-keygen -q -t ed25519 -N '' -f key
hosts=()
base=$((20000 + RANDOM % 10000))
for k in $(seq 1 20); do
    ssh-keygen -q -t ed25519 -N '' -f "host$k"
    port=$((base + k))
    {
        printf 'Port %s\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nUsePAM no\nStrictModes no\nMaxStartups 200\n' \
            "$port" "$place/host$k" "$place/key.pub"
        printf 'Subsystem sftp %s\n' "${sftp:-internal-sftp}"
        for j in 1 2 3 4 5; do echo "ListenAddress 127.0.1.$j"; done
        for j in 1 2 3 4 5; do printf 'Match LocalAddress 127.0.1.%s\n  SetEnv HOME=%s\n' "$j" "$place/home$k-$j"; done
    } >"sshd$k"
    "$sshd" -D -e -f "$place/sshd$k" 2>"log$k" &
    started+=($!)
    for j in 1 2 3 4 5; do
        mkdir "home$k-$j"
        echo "[127.0.1.$j]:$port $(cat "host$k.pub")" >>known
        printf 'Host n%s-%s\n  HostName 127.0.1.%s\n  Port %s\n  IdentityFile %s\n  IdentitiesOnly yes\n  UserKnownHostsFile %s\n' \
            "$k" "$j" "$j" "$port" "$place/key" "$place/known" >>config
        hosts+=("n$k-$j")
    done
done
for k in $(seq 1 20); do
    until (exec 3<>"/dev/tcp/127.0.1.1/$((base + k))") 2>/dev/null; do sleep 0.1; done
done
export TIDEGATE_SSH_COMMAND="ssh -F $place/config"

git init -q repo
echo 1.0.0 >repo/VERSION
git -C repo add -A
git -C repo -c user.name=bench -c user.email=bench@localhost commit -q -m bench

# pipeline NAME WAVES DEPLOY BUILD HOST...
pipeline() {
    local name=$1 waves=$2 deploy=$3 build=$4 host
    shift 4
    {
        printf 'name = "%s"\n[source]\nrepo = "%s"\n%s\n[[tier]]\nname = "prod"\n' "$name" "$place/repo" "$build"
        for host; do printf '[[tier.node]]\nname = "%s"\nssh = "%s"\n' "$host" "$host"; done
        printf '[tier.deploy]\n%s\nwaves = [%s]\n' "$deploy" "$waves"
    } >"$name.toml"
}

seconds() { date -d "$1" +%s.%N; }
# The seconds from a version's entry into the tier to its end there.
ours() {
    local out begin end
    out=$("$tidegate" run "$1.toml" --deploy prod --json 2>/dev/null)
    begin=$(sed -n 's/.*"at":"\([^"]*\)".*"kind":"promote_start".*/\1/p' <<<"$out")
    end=$(sed -n 's/.*"at":"\([^"]*\)".*"kind":"promote_complete".*/\1/p' <<<"$out")
    awk -v a="$(seconds "$begin")" -v b="$(seconds "$end")" 'BEGIN { printf "%.2f\n", b - a }'
}
timed() {
    local begin
    begin=$(date +%s.%N)
    "$@"
    awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f\n", b - a }'
}
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
row() {
    awk -v what="$1" -v ours="$2" -v twin="$3" -v name="$4" -v goal="$5" 'BEGIN {
        ratio = ours / twin
        printf "| %s | %.2f s | %.2f s (%s) | %.2f | ≤ %s | %s |\n", what, ours, twin, name, ratio, goal, ratio <= goal ? "yes" : "no"
    }'
}

plain() {
    mkdir -p sockets
    printf '%s\n' "${hosts[@]}" | xargs -P 10 -I{} ssh -F config -o BatchMode=yes -o ControlMaster=auto \
        -o "ControlPath=$place/sockets/{}" -o ControlPersist=no {} true
}
to_five() { for host in n1-1 n2-1 n3-1 n4-1 n5-1; do "$1" "$host" & done; wait $(jobs -p | tail -5); }
by_scp() { scp -q -F config big "$1:$place/home${1#n}/by-scp"; }
by_rsync() { rsync -q --ignore-times -e "ssh -F $place/config" big "$1:$place/home${1#n}/by-rsync"; }
clean() { rm -rf home*/up home*/by-*; }

pipeline noop 10 'run = "true"' '' "${hosts[@]}"
pipeline upload '"100%"' 'upload = [{ artifact = "big", to = "$HOME/up/" }]' \
    "[build]
artifacts = [\"big\"]
[[build.step]]
name = \"make\"
run = \"cp $place/big .\"" n1-1 n2-1 n3-1 n4-1 n5-1
head -c 209715200 /dev/urandom >big
for turn in $(seq "$turns"); do
    ours noop >>noop.ours
    timed plain >>noop.plain
    clean
    ours upload >>upload.ours
    ours upload >>again.ours
    clean
    timed to_five by_scp >>upload.scp
    clean
    timed to_five by_rsync >>upload.rsync
done
row "nothing to 100 nodes, ten at a time" "$(median <noop.ours)" "$(median <noop.plain)" "ssh" 1.15
row "200 MiB to five nodes" "$(median <upload.ours)" "$(median <upload.scp)" "scp" 1.1
row "200 MiB to five nodes" "$(median <upload.ours)" "$(median <upload.rsync)" "rsync" 1.1
echo "200 MiB that are there already: $(median <again.ours) s for five nodes"
