# Runs build.sh here, and uploads its output to $LOG_URL every few seconds. POSIX sh.
#
# Of a long output, only the first and the last bytes are kept. The progress lines also go to $STEPS_URL,
# each with its time (conducto_core/images/build_plan.py): they are few, whereas the log is long, has no
# times and lacks its middle. Exits with build.sh's code.
set -u

MOST=1048576
MOST_LINES=1200
STEPS='^(==> |#[0-9]+ (\[|DONE |CACHED|CANCELED|ERROR)|an earlier build made|(conducto|ERROR|Error response from daemon): )'

send() { # send FILE URL
    [ -n "$2" ] || return 0
    curl -fsS --retry 3 -T "$1" "$2" >/dev/null || return 0
}

# Pass a program's output on at once, not in blocks, if the machine has a tool for it.
at_once() {
    if command -v stdbuf >/dev/null 2>&1; then stdbuf -o0 "$@"; else "$@"; fi
}

size_of() { wc -c <"$1" | tr -d ' '; }

# Whatever happens here, read to the end: a build must not wait for the reader of its output.
pick_steps() {
    { LC_ALL=C grep -a --line-buffered -E "$STEPS" || :; cat >/dev/null; } | {
        left=$MOST_LINES
        while IFS= read -r line; do
            [ "$left" -gt 0 ] || continue
            left=$((left - 1))
            printf '%s %.400s\n' "$(date +%s.%N)" "$line"
        done
    }
}

mkdir -p work
: >work/first.log
: >work/steps
mkfifo work/printed
{
    pick_steps <work/printed >work/steps &
    { sh build.sh 2>&1; echo "$?" >work/status; } | tee work/printed |
        { at_once head -c "$MOST" >work/first.log; tail -c "$MOST" >work/last.log; }
    wait
    : >work/over
} &
sent=0
told=0
while [ ! -e work/over ]; do
    sleep 1
    size=$(size_of work/first.log)
    if [ "$size" != "$sent" ]; then
        send work/first.log "$LOG_URL"
        sent=$size
    fi
    size=$(size_of work/steps)
    if [ "$size" != "$told" ]; then
        send work/steps "${STEPS_URL:-}"
        told=$size
    fi
done
wait
if [ "$(size_of work/last.log)" = "$MOST" ]; then
    printf '\n(what the build printed in between was not kept)\n' >>work/first.log
fi
cat work/last.log >>work/first.log
send work/first.log "$LOG_URL"
if [ "$(cat work/status)" != 0 ]; then
    printf '%s ==> failed\n' "$(date +%s.%N)" >>work/steps
fi
send work/steps "${STEPS_URL:-}"
cat work/first.log
exit "$(cat work/status)"
