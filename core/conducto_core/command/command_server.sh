# The command server: one resident shell that runs commands in a container, one after another.
#
#   /bin/sh -c "$THIS_TEXT" conducto-command-server RUN_DIRECTORY SHELL [KILL_FIFO [PIPES_DIRECTORY]]
#
# It needs /bin/sh (bash, dash or busybox ash) and /proc; every command here is a builtin, except
# chmod, head and rm, which may be missing. The host's part is command_server.py: it sends a line of shell
# code per command on stdin, and reads both output streams up to their trailers.
#
# Rules for editors
# 1. It must be process 1. Then `kill -1` reaches only the processes of this container, and no command
#    can kill the server: the kernel protects process 1 of a namespace from processes in it.
# 2. A byte that `read` reads costs a system call; see the end.
# 3. Trailers are written after the kill, so that no output of a command can follow its trailer.
# 4. Lines that start with # are not sent. Do not write one inside a quoted string.

_cs_dir=$1
_cs_shell=$2
_cs_kill=${3-}
_cs_file=$_cs_dir/cmd.sh
_cs_cwd=$PWD
# Without it every bash looks up its user at its start, which takes a tenth of its time.
export SHELL="${SHELL:-$_cs_shell}"
# Where a command finds its inputs, and leaves its result, metrics, artifacts and annotations.
export CONDUCTO_RUN_DIR="$_cs_dir"
_n='
'

# Pipes to the host in place of the streams of a container engine. Opening them at both ends never
# waits; without a host at the other end, as in a virtual machine, there is no line to read. A command
# whose host has ended waits, as it does not get SIGPIPE.
_cs_pipes=
if [ -p "${4-}/in" ] && ( exec 5<>"$4/in" 6<>"$4/out" 7<>"$4/err" ) 2>/dev/null; then
    exec 5<>"$4/in" 6<"$4/in" 5>&-
    if read -r _cs_pipes <&6; then exec 0<&6 1<>"$4/out" 2<>"$4/err"; fi
    exec 6<&-
fi

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
    # Where a command writes the frames of its metrics, wherever its own stdout leads.
    if [ -p /proc/self/fd/1 ]; then export CONDUCTO_LIVE=/proc/1/fd/1; fi
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

# The environment that all commands share, and that of one command; the host redefines both, as
# functions that call $1 with NAME=VALUE words.
_cs_base() { :; }
_cs_env() { :; }

_cs_write() { printf '#!%s\n%s\n' "$_cs_shell" "$1" >"$_cs_file"; }

# A subshell in the foreground: in the background it would ignore SIGINT.
eval '_cs_job() {
    (
        trap - INT
        cd "$_cs_cwd" 2>/dev/null || { printf "cannot enter the working directory %s\n" "$_cs_cwd" >&2; exit 126; }
        _cs_base export
        _cs_env export
        exec "$_cs_shell" "$_cs_file"
    ) </dev/null '"$_cs_streams"' 6>&- 7>&- 8>&- 9>&-
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

# Remove the files of an earlier command, or empty them if there is no rm; fail if one is left, whose content
# must not be reported. Not ": >file", which ends the shell if it fails. A link may lead to the user's data.
_cs_clear() {
    for _cs_k in inputs result metrics artifacts annotations; do
        if [ -e "$_cs_dir/$_cs_k" ] || [ -L "$_cs_dir/$_cs_k" ]; then
            rm -rf "$_cs_dir/$_cs_k"
            if [ -e "$_cs_dir/$_cs_k" ]; then
                if [ -L "$_cs_dir/$_cs_k" ] || ! [ -f "$_cs_dir/$_cs_k" ]; then return 1; fi
                true >"$_cs_dir/$_cs_k" || return 1
            fi
        fi
    done
}

# _cs_send NONCE: write the files that the command left, each after a line with its name.
_cs_send() {
    for _cs_k in result metrics artifacts annotations; do
        if [ -s "$_cs_dir/$_cs_k" ] && [ -f "$_cs_dir/$_cs_k" ] && [ ! -L "$_cs_dir/$_cs_k" ]; then
            printf '\036%s=%s\n' "$1" "$_cs_k"
            head -c FILE_LIMIT "$_cs_dir/$_cs_k"
        fi
    done
}

# $_cs_junit and $_cs_coverage have the patterns of the command's reports, one on a line. Remember when it starts,
# and the times of earlier files: some shells compare them in whole seconds only.
_cs_stat() { stat -c '%n %i %s %y' "$1"; }
_cs_find_reports() {
    true >"$_cs_dir/began"
    _cs_known=$_n$(cd "$_cs_cwd" && IFS=$_n && for _cs_k in $_cs_junit $_cs_coverage; do [ ! -f "$_cs_k" ] || _cs_stat "$_cs_k"; done)$_n
}

# Succeed if an earlier command wrote the file $1.
_cs_is_old() {
    if [ "$_cs_dir/began" -nt "$1" ]; then return 0; fi
    if [ "$1" -nt "$_cs_dir/began" ]; then return 1; fi
    _cs_sum=$(_cs_stat "$1") || return 1
    case $_cs_known in *"$_n$_cs_sum$_n"*) return 0 ;; esac
    return 1
}

# _cs_send_reports NONCE NAME PATTERNS: write the reports that this command wrote, each after a line with its name.
_cs_send_reports() {
    [ -n "$3" ] || return 0
    printf '\036%s=%s\n' "$1" "$2"
    (
        cd "$_cs_cwd" || exit
        IFS=$_n
        for _cs_k in $3; do
            case $_cs_k in *"$_n"*) continue ;; esac
            if [ -f "$_cs_k" ] && ! _cs_is_old "$_cs_k"; then
                printf '\n\036junit %s\n' "$_cs_k"
                head -c JUNIT_LIMIT "$_cs_k"
            fi
        done
    ) | head -c JUNIT_LIMIT
}

# The start of a command.
_cs_begin() {
    _cs_nonce=$1 _cs_how=
    if [ -n "$_cs_long" ]; then
        true >"$_cs_long"  # it has been read, and the command must not see it
        _cs_long=
    fi
    _cs_own=1
    _cs_clear || _cs_own=
    if [ -n "$_cs_inputs" ]; then
        printf '%s' "$_cs_inputs" >"$_cs_dir/inputs"
        _cs_inputs=
    fi
    if [ -n "$_cs_junit$_cs_coverage" ]; then _cs_find_reports; fi
    _cs_start_watch
}

# Not "[ ... ] || _cs_watch &": that would always fork a process.
_cs_start_watch() { if [ -n "$_cs_kill" ]; then _cs_watch "$_cs_nonce" & fi; }

# Run $_cs_script in a new process, then kill what it left.
_cs_execute() {
    if ! _cs_write "$_cs_script"; then
        # An earlier command created an entry with that name.
        _cs_file=$_cs_dir/cmd.$_cs_nonce.sh
        _cs_write "$_cs_script" || printf 'cannot write the command to %s\n' "$_cs_file" >&9
    fi
    _cs_job
    _cs_code=$?
    _cs_kill_all
}

# The end of a command: both trailers. With pipes, the host sees that nothing is left in that of stderr.
_cs_end() {
    _cs_before=$_cs_oom
    _cs_look
    if [ -n "$_cs_own" ]; then _cs_send "$_cs_nonce"; fi
    _cs_send_reports "$_cs_nonce" junit "$_cs_junit"
    _cs_send_reports "$_cs_nonce" coverage "$_cs_coverage"
    _cs_junit= _cs_coverage=
    # The node is done: it needs its checkpoints no more.
    if [ "$_cs_code" = 0 ] && [ -n "$_cs_node" ] && [ -d "$_cs_node" ]; then rm -rf "$_cs_node"; fi
    _cs_node=
    printf '\036%s %s %s %s %s\n' "$_cs_nonce" "$_cs_code" "$((_cs_oom - _cs_before))" "${_cs_peak:-0}" "$_cs_how"
    if [ -z "$_cs_pipes" ]; then printf '\036%s\n' "$_cs_nonce" >&9; fi
}

# _cs_run NONCE: run $_cs_script.
_cs_run() {
    _cs_begin "$1"
    _cs_execute
    _cs_end
}

# The fork server (sdk/conducto/tools/fork_server): from the second call of functions of a Python file in
# succession, a template that has imported the file runs them. Number 7 leads to it, and number 8 back; both
# report its death. Number 6 is read only then: it tells whether the function had started.
_cs_template=
_cs_template_file=
_cs_last_file=
_cs_refused=
_cs_stale=0

# _cs_call NONCE FILE WORD...: call a function in a fork of the template, or else run $_cs_script.
_cs_call() {
    _cs_begin "$1"
    shift
    _cs_code=
    if _cs_ready "$1"; then
        _cs_fork "$@"
        if [ -z "$_cs_code" ]; then
            # The template has killed the watch, or is about to kill: continue when nothing is left.
            _cs_kill_all
            _cs_start_watch
            _cs_execute
        fi
    elif [ -z "$_cs_code" ]; then
        _cs_execute
    else
        _cs_kill_all  # stopped during the import: its processes and the watch are left
    fi
    _cs_last_file=$1
    _cs_end
}

# Succeed if there is a template of file $1; start one if the last call was of the same file.
_cs_ready() {
    if [ -n "$_cs_template" ] && [ "$_cs_template_file" = "$1" ]; then return 0; fi
    _cs_how='first call'
    [ "$_cs_last_file" = "$1" ] || return 1
    case $_n$_cs_refused in
        *"$_n$1:"*)
            _cs_how=$_n$_cs_refused
            _cs_how=${_cs_how##*"$_n$1:"}
            _cs_how=${_cs_how%%"$_n"*}
            return 1
            ;;
    esac
    _cs_drop
    _cs_start "$1"
}

# The names of the variables: those words of its arguments.
_cs_names() { for _cs_k; do printf '%s ' "${_cs_k%%=*}"; done; }

_cs_start() {
    _cs_write 'conducto "$1"' || return 1
    {
        _cs_said=$(
            trap - INT
            cd "$_cs_cwd" || exit
            export CONDUCTO_FORK_SERVER="$_cs_dir" CONDUCTO_FORK_SERVER_NAMES="$(_cs_base _cs_names; _cs_env _cs_names)"
            exec "$_cs_shell" "$_cs_file" "$1" 2>&1 </dev/null 6>&- 7>&- 8>&- 9>&-
        )
    } 3>&1 4>&9
    # These signals stop the call, too.
    _cs_k=$?
    case $_cs_k in
        130 | 137 | 143)
            _cs_code=$_cs_k
            return 1
            ;;
    esac
    case $_cs_said in
        "ready "*[!0-9]*) _cs_template= ;;
        "ready "*) _cs_template=${_cs_said#ready } ;;
    esac
    # A redirection of exec that fails would end the server.
    if [ -z "$_cs_template" ] || ! [ -p "$_cs_dir/call" ] || ! [ -p "$_cs_dir/response" ] ||
        ! [ -p "$_cs_dir/started" ]; then
        _cs_template=
        case $_cs_said in
            *"$_n"* | "ready "*) _cs_said='refused the interpreter prints text at its start' ;;
            "refused "*) ;;
            *) _cs_said='refused the import ends the process' ;;
        esac
        _cs_refuse "$1" "${_cs_said#refused }"
        return 1
    fi
    _cs_template_file=$1
    # Opened at both ends first, which never waits.
    exec 6<>"$_cs_dir/call" 7>"$_cs_dir/call" 6>&-
    exec 6<>"$_cs_dir/response" 8<"$_cs_dir/response" 6>&-
    exec 5<>"$_cs_dir/started" 6<"$_cs_dir/started" 5>&-
}

# _cs_refuse FILE REASON: do not start a template of that file again.
_cs_refuse() {
    _cs_how=$2
    _cs_refused=$_cs_refused$1:$2$_n
}

_cs_drop() {
    if [ -n "$_cs_template" ]; then
        kill -KILL "$_cs_template"
        exec 7>&- 8>&-
        _cs_template=
    fi
}

_cs_put() { printf '%s\0' "$@"; }

# Call a function in a fork. If the function did not start, $_cs_code stays empty.
_cs_fork() {
    _cs_file_called=$1
    shift
    kill -CONT -1  # the template, and the fork that waits for this call
    {
        printf r
        _cs_base _cs_put
        _cs_env _cs_put
        _cs_put '' "$#" "$@"
    } >&7
    if ! read -r _cs_k _cs_left _cs_v <&8; then
        _cs_kill_all  # so that no process holds the other end of number 6
        _cs_k=137 _cs_left=0 _cs_v=
        read -r _cs_v <&6
    fi
    case $_cs_v in
        started)
            _cs_how=forked
            _cs_code=$_cs_k
            _cs_collect "$_cs_left"
            ;;
        "other "*) _cs_how=${_cs_v#other } ;;
        *)
            _cs_drop
            _cs_v=${_cs_v#stale }
            _cs_how=${_cs_v:-the template ended}
            # A file may change between all calls.
            _cs_stale=$((_cs_stale + 1))
            [ "$_cs_stale" -lt 4 ] || _cs_refuse "$_cs_file_called" "$_cs_how"
            ;;
    esac
}

# The kernel spares process 1 and the sender, so the template must be the sender, if there is one.
_cs_kill_all() {
    if [ -n "$_cs_template" ]; then
        kill -CONT "$_cs_template"
        if printf c >&7 && read -r _cs_left <&8; then
            _cs_collect "$_cs_left"
            return
        fi
        _cs_drop
    fi
    kill -KILL -1 && _cs_clean
}

# Collect $1 killed processes, besides which there are process 1, the template and its next fork.
_cs_collect() {
    [ "$1" -gt 0 ] || return
    _cs_i=0
    while [ "$_cs_i" -lt 25 ]; do
        ( : )
        set -- /proc/[0-9]*
        [ "$#" -gt 3 ] || return
        _cs_i=$((_cs_i + 1))
    done
}

_cs_long=
_cs_inputs=
_cs_junit=
_cs_coverage=
_cs_node=
_cs_write : && chmod 755 "$_cs_file"
_cs_look
printf '\036ready 0 0 %s\n' "$_cs_peak"
if [ -z "$_cs_pipes" ]; then printf '\036ready\n' >&9; fi
# dash and ash, which do not name their version, run a file while they read it, in blocks; bash reads it to
# its end first. Only with pipes to the host: opening input again waits without end if its writer has closed it,
# and only there the next agent removes the container.
case ${_cs_pipes:+pipes}${BASH_VERSION-}${KSH_VERSION-}${ZSH_VERSION-} in
    pipes)
        if ( : </proc/self/fd/0 ) 2>/dev/null; then
            _cs_load() { :; }
            . /proc/self/fd/0
            exit
        fi
        ;;
esac
while IFS= read -r _cs_line; do eval "$_cs_line"; done
