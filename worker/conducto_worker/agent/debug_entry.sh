# The script that ECS Exec runs as root in the user's container to open a debug shell.
#
#   /bin/sh CTL/shell/enter
#
# The agent (debug_shell.py) holds the other ends of the FIFOs in CTL/shell. A session announces
# itself by writing its process id to "door", and keeps "door" open until it ends. The agent then
# makes a FIFO for this session only and sends code through it that sets the environment, secrets
# included, and starts the shell. The code is never in a file or on a command line.

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
    [ "$_i" -lt 200 ] || { printf 'conducto: the agent of this shell is not running\n' >&2; exit 125; }
    sleep 0.05 || sleep 1 || :
done 2>/dev/null
_code=
while IFS= read -r _line; do _code=$_code$_line$_n; done <"in.$$"
[ -n "$_code" ] || exit 125
for _at in /conducto/cmd.sh /cmd.conducto; do
    ln -sf "$PWD/cmd.sh" "$_at" || printf 'conducto: the command is %s/cmd.sh\n' "$PWD" >&2
done
eval "$_code"
