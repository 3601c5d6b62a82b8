# The command server: one resident shell that runs commands in a container, one after another.
#
#   /bin/sh -c "$THIS_TEXT" conducto-command-server RUN_DIRECTORY SHELL [KILL_FIFO]
#
# It needs /bin/sh (bash, dash or busybox ash) and /proc; every command here is a builtin, but for
# chmod and head, which may be missing. The host side is command_server.py: it sends a line of shell
# code per command on stdin, and reads both output streams up to their trailers.
#
# Rules for editors
# 1. It must be process 1. Then `kill -1` reaches this container's processes and no others, and no
#    command can kill the server: the kernel shields process 1 of a namespace from its own inmates.
# 2. A byte read here costs a system call, so whatever is large comes through _cs_load.
# 3. Trailers are written after the kill, so that nothing of a command can follow its trailer.
# 4. Lines that begin with # are not sent. Do not write one inside a quoted string.

_cs_dir=$1
_cs_shell=$2
_cs_kill=${3-}
_cs_file=$_cs_dir/cmd.sh
_cs_cwd=$PWD
# Without it every bash looks up its user as it starts, a tenth of its time.
export SHELL="${SHELL:-$_cs_shell}"
_n='
'

# The shell's own remarks ("Killed") must not look like output of a command: the server's stderr
# is nowhere, and the true one is number 9.
exec 9>&2 2>/dev/null

if [ "$$" != 1 ]; then
    printf 'the command server is process %s here, not 1: it does not run outside its own process namespace\n' "$$" >&9
    exit 70
fi

# A shell started with -c catches SIGINT, which takes the kernel's shield off for that signal.
trap '' INT

# Opened anew, a stream has flags of its own: a command that makes its stdout non-blocking cannot
# make the server lose a trailer. Where that is impossible (a socket), the stream is shared.
_cs_streams='2>&9'
if ( : >/proc/self/fd/1 2>/proc/self/fd/9 ); then
    _cs_streams='>/proc/self/fd/1 2>/proc/self/fd/9'
fi

# The kernel's count of processes killed for memory, and the highest use of memory so far.
_cs_events=/dev/null
_cs_peaks=/dev/null
if [ -r /sys/fs/cgroup/memory.events ]; then
    _cs_events=/sys/fs/cgroup/memory.events
    _cs_peaks=/sys/fs/cgroup/memory.peak
elif [ -r /sys/fs/cgroup/memory/memory.oom_control ]; then
    _cs_events=/sys/fs/cgroup/memory/memory.oom_control
    _cs_peaks=/sys/fs/cgroup/memory/memory.max_usage_in_bytes
fi

_cs_look() {
    _cs_oom=0 _cs_peak=0
    while read -r _cs_k _cs_v; do
        case $_cs_k in oom_kill) _cs_oom=$_cs_v ;; esac
    done <"$_cs_events"
    read -r _cs_peak <"$_cs_peaks"
}

# The environment that all commands share, and what one command adds; the host redefines both.
_cs_base() { :; }
_cs_env() { :; }

_cs_write() { printf '#!%s\n%s\n' "$_cs_shell" "$_cs_script" >"$_cs_file"; }

# A subshell in the foreground: in the background it would ignore SIGINT for ever.
eval '_cs_job() {
    (
        trap - INT
        cd "$_cs_cwd" 2>/dev/null || { printf "cannot enter the working directory %s\n" "$_cs_cwd" >&2; exit 126; }
        _cs_base
        _cs_env
        exec "$_cs_shell" "$_cs_file"
    ) </dev/null '"$_cs_streams"' 9>&-
}'

# What the kill leaves are zombies, and only a shell that waits for something collects them.
# Processes of another user stay, hence the limit.
_cs_clean() {
    _cs_i=0
    while kill -0 -1 && [ "$_cs_i" -lt 25 ]; do
        ( : )
        _cs_i=$((_cs_i + 1))
    done
}

# Where nobody can enter the container, a line "SIGNAL NONCE" in the FIFO ends a command. One watch
# for each command: it is killed along with what the command left. What is meant for another
# command, or cut in two by that kill, is passed over.
_cs_watch() {
    trap '' HUP INT QUIT USR1 USR2 PIPE ALRM TERM
    while read -r _cs_k _cs_v; do
        [ "$_cs_v" != "$1" ] || kill "-$_cs_k" -1
    done <"$_cs_kill"
}

# _cs_load BYTES NONCE: run the line that follows, which has so many bytes. A shell reads a pipe byte
# by byte, and a file in blocks. Where there is no head, or no room, the loop at the end reads it.
_cs_load() {
    command -v head >/dev/null || return 0
    _cs_long=$_cs_dir/line.$2
    true >"$_cs_long" || { _cs_long=; return 0; }
    # Never go on with the rest of a line: it would be run as code of the server.
    head -c "$1" >"$_cs_long" || { printf 'cannot write to %s\n' "$_cs_dir" >&9; exit 70; }
    . "$_cs_long"
}

# _cs_run NONCE: run $_cs_script.
_cs_run() {
    if [ -n "$_cs_long" ]; then
        true >"$_cs_long"  # it has been read, and is none of the command's business
        _cs_long=
    fi
    if ! _cs_write; then
        # An earlier command has put something in the way.
        _cs_file=$_cs_dir/cmd.$1.sh
        _cs_write || printf 'cannot write the command to %s\n' "$_cs_file" >&9
    fi
    # Not "[ ... ] || _cs_watch &": that would fork a process in any case.
    if [ -n "$_cs_kill" ]; then _cs_watch "$1" & fi
    _cs_job
    _cs_code=$?
    kill -KILL -1 && _cs_clean
    _cs_before=$_cs_oom
    _cs_look
    printf '\036%s %s %s %s\n' "$1" "$_cs_code" "$((_cs_oom - _cs_before))" "$_cs_peak"
    printf '\036%s\n' "$1" >&9
}

_cs_long=
_cs_script=:
_cs_write && chmod 755 "$_cs_file"
_cs_look
printf '\036ready 0 0 %s\n' "$_cs_peak"
printf '\036ready\n' >&9
while IFS= read -r _cs_line; do eval "$_cs_line"; done
