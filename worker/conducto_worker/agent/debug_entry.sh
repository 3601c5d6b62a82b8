# What ECS Exec runs in the user's container of a debug shell, as root: the terminal's other end.
#
#   /bin/sh CTL/shell/enter
#
# The agent (debug_shell.py) sits at the other end of FIFOs in CTL/shell. Who comes in says so in
# "door", which stays open as long as the session lasts; the agent then makes a FIFO for this
# session alone, and what comes through it is code that sets the environment, secrets included, and
# starts the shell: it is in no file and in no command line.

trap : INT QUIT
_n='
'
_pwd=$PWD
cd "${0%/*}" || exit 126
exec 8>door
printf '%s\n' "$$" >&8
_i=0
until [ -p "in.$$" ]; do
    _i=$((_i + 1))
    [ "$_i" -lt 200 ] || { printf 'conducto: the agent of this shell does not answer\n' >&2; exit 125; }
    sleep 0.05 || sleep 1 || :
done 2>/dev/null
_code=
while IFS= read -r _line; do _code=$_code$_line$_n; done <"in.$$"
[ -n "$_code" ] || exit 125
for _at in /conducto/cmd.sh /cmd.conducto; do
    ln -sf "$PWD/cmd.sh" "$_at" || printf 'conducto: the command is %s/cmd.sh\n' "$PWD" >&2
done
eval "$_code"
