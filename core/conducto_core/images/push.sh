# Runs build.sh where it is, and puts what it prints to $LOG_URL every few seconds. POSIX sh.
#
# Of a build that prints a lot, the first and the last bytes are kept. The lines that say how far it
# is go to $STEPS_URL too, each with the time at which it came (conducto/images/build_steps.py): they
# are few, whereas the log is long, tells no times and leaves out what is in its middle. Ends with
# build.sh's code.
set -u

MOST=1048576
MOST_LINES=1200
STEPS='^(==> |#[0-9]+ (\[|DONE |CACHED|CANCELED|ERROR)|an earlier build made|(conducto|ERROR|Error response from daemon): )'

send() { # send FILE URL
    [ -n "$2" ] || return 0
    curl -fsS --retry 3 -T "$1" "$2" >/dev/null || return 0
}

# A program's output as it comes, not kilobytes later, where the machine knows how.
at_once() {
    if command -v stdbuf >/dev/null 2>&1; then stdbuf -o0 "$@"; else "$@"; fi
}

size_of() { wc -c <"$1" | tr -d ' '; }

# Whatever happens here, all is read to its end: a build must not wait for who takes its notes.
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
