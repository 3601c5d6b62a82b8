# The command server: one resident shell that runs commands in a container, one after another.
#
#   /bin/sh -c "$THIS_TEXT" conducto-command-server RUN_DIRECTORY SHELL [KILL_FIFO]
#
# It needs /bin/sh (bash, dash or busybox ash) and /proc; every command here is a builtin, except
# chmod, head and rm, which may be missing. The host's part is command_server.py: it sends a line of shell
# code per command on stdin, and reads both output streams up to their trailers.
#
# Rules for editors
# 1. It must be process 1. Then `kill -1` reaches only the processes of this container, and no command
#    can kill the server: the kernel protects process 1 of a namespace from processes in it.
# 2. A byte read here costs a system call, so large input comes through _cs_load.
# 3. Trailers are written after the kill, so that no output of a command can follow its trailer.
# 4. Lines that start with # are not sent. Do not write one inside a quoted string.

_cs_dir=$1
_cs_shell=$2
_cs_kill=${3-}
_cs_file=$_cs_dir/cmd.sh
_cs_cwd=$PWD
# Without it every bash looks up its user at its start, which takes a tenth of its time.
export SHELL="${SHELL:-$_cs_shell}"
# Where a command finds its inputs, and leaves its result, metrics and artifacts.
export CONDUCTO_RUN_DIR="$_cs_dir"
_n='
'

# The shell's own messages ("Killed") must not look like output of a command: the server's stderr is
# discarded, and the real one is descriptor 9.
exec 9>&2 2>/dev/null

if [ "$$" != 1 ]; then
    printf 'the command server is process %s here, not 1: it does not run outside its own process namespace\n' "$$" >&9
    exit 70
fi

# A shell started with -c catches SIGINT, which removes the kernel's protection for that signal.
trap '' INT

# A reopened stream has flags of its own: a command that makes its stdout non-blocking cannot make the
# server lose a trailer. If that is impossible (a socket), the stream is shared.
_cs_streams='2>&9'
if ( : >/proc/self/fd/1 2>/proc/self/fd/9 ); then
    _cs_streams='>/proc/self/fd/1 2>/proc/self/fd/9'
fi

# The kernel's count of processes killed for memory, and the maximum use of memory so far.
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

# The environment that all commands share, and that of one command; the host redefines both.
_cs_base() { :; }
_cs_env() { :; }

_cs_write() { printf '#!%s\n%s\n' "$_cs_shell" "$_cs_script" >"$_cs_file"; }

# A subshell in the foreground: in the background it would ignore SIGINT.
eval '_cs_job() {
    (
        trap - INT
        cd "$_cs_cwd" 2>/dev/null || { printf "cannot enter the working directory %s\n" "$_cs_cwd" >&2; exit 126; }
        _cs_base
        _cs_env
        exec "$_cs_shell" "$_cs_file"
    ) </dev/null '"$_cs_streams"' 9>&-
}'

# The kill leaves zombies, which only a waiting shell reaps. Processes of another user stay, hence the limit.
_cs_clean() {
    _cs_i=0
    while kill -0 -1 && [ "$_cs_i" -lt 25 ]; do
        ( : )
        _cs_i=$((_cs_i + 1))
    done
}

# If no process can enter the container, a line "SIGNAL NONCE" in the FIFO ends a command. Each command has
# its own watch, which is killed along with the processes that the command left. Lines for another
# command, or cut by that kill, are ignored.
_cs_watch() {
    trap '' HUP INT QUIT USR1 USR2 PIPE ALRM TERM
    while read -r _cs_k _cs_v; do
        [ "$_cs_v" != "$1" ] || kill "-$_cs_k" -1
    done <"$_cs_kill"
}

# _cs_load BYTES NONCE: run the next line, which has BYTES bytes. A shell reads a pipe byte by byte, and a
# file in blocks. Without head, or without space, the loop at the end reads it.
_cs_load() {
    command -v head >/dev/null || return 0
    _cs_long=$_cs_dir/line.$2
    true >"$_cs_long" || { _cs_long=; return 0; }
    # Never continue with the rest of a line: the server would run it as code.
    head -c "$1" >"$_cs_long" || { printf 'cannot write to %s\n' "$_cs_dir" >&9; exit 70; }
    . "$_cs_long"
}

# Remove the files of an earlier command; fail if one is left, whose content must not be reported.
_cs_clear() {
    for _cs_k in inputs result metrics artifacts; do
        if [ -e "$_cs_dir/$_cs_k" ] || [ -L "$_cs_dir/$_cs_k" ]; then
            rm -rf "$_cs_dir/$_cs_k"
            if [ -e "$_cs_dir/$_cs_k" ]; then return 1; fi
        fi
    done
}

# _cs_send NONCE: write the files that the command left, each after a line with its name.
_cs_send() {
    for _cs_k in result metrics artifacts; do
        if [ -s "$_cs_dir/$_cs_k" ] && [ -f "$_cs_dir/$_cs_k" ] && [ ! -L "$_cs_dir/$_cs_k" ]; then
            printf '\036%s=%s\n' "$1" "$_cs_k"
            head -c FILE_LIMIT "$_cs_dir/$_cs_k"
        fi
    done
}

# _cs_run NONCE: run $_cs_script.
_cs_run() {
    if [ -n "$_cs_long" ]; then
        true >"$_cs_long"  # it has been read, and the command must not see it
        _cs_long=
    fi
    if ! _cs_write; then
        # An earlier command created an entry with that name.
        _cs_file=$_cs_dir/cmd.$1.sh
        _cs_write || printf 'cannot write the command to %s\n' "$_cs_file" >&9
    fi
    _cs_own=1
    _cs_clear || _cs_own=
    if [ -n "$_cs_inputs" ]; then
        printf '%s' "$_cs_inputs" >"$_cs_dir/inputs"
        _cs_inputs=
    fi
    # Not "[ ... ] || _cs_watch &": that would always fork a process.
    if [ -n "$_cs_kill" ]; then _cs_watch "$1" & fi
    _cs_job
    _cs_code=$?
    kill -KILL -1 && _cs_clean
    _cs_before=$_cs_oom
    _cs_look
    if [ -n "$_cs_own" ]; then _cs_send "$1"; fi
    printf '\036%s %s %s %s\n' "$1" "$_cs_code" "$((_cs_oom - _cs_before))" "$_cs_peak"
    printf '\036%s\n' "$1" >&9
}

_cs_long=
_cs_inputs=
_cs_script=:
_cs_write && chmod 755 "$_cs_file"
_cs_look
printf '\036ready 0 0 %s\n' "$_cs_peak"
printf '\036ready\n' >&9
while IFS= read -r _cs_line; do eval "$_cs_line"; done
