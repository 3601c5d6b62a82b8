# Runs build.sh where it is, and puts what it prints to $LOG_URL every few seconds. POSIX sh.
#
# Of a build that prints a lot, the first and the last bytes are kept. Ends with build.sh's code.
set -u

MOST=1048576

send() { curl -fsS --retry 3 -T "$1" "$LOG_URL" >/dev/null || return 0; }

# A program's output as it comes, not kilobytes later, where the machine knows how.
at_once() {
    if command -v stdbuf >/dev/null 2>&1; then stdbuf -o0 "$@"; else "$@"; fi
}

size_of() { wc -c <"$1" | tr -d ' '; }

mkdir -p work
: >work/first.log
{
    { sh build.sh 2>&1; echo "$?" >work/status; } |
        { at_once head -c "$MOST" >work/first.log; tail -c "$MOST" >work/last.log; }
    : >work/over
} &
sent=0
while [ ! -e work/over ]; do
    sleep 1
    size=$(size_of work/first.log)
    if [ "$size" != "$sent" ]; then
        send work/first.log
        sent=$size
    fi
done
wait
if [ "$(size_of work/last.log)" = "$MOST" ]; then
    printf '\n(what the build printed in between was not kept)\n' >>work/first.log
fi
cat work/last.log >>work/first.log
send work/first.log
cat work/first.log
exit "$(cat work/status)"
