# The start of the user's container of a cloud worker, before the command server in the same shell.
#
#   /bin/sh -c "$THIS_TEXT$COMMAND_SERVER" conducto-worker CTL SHELL...
#
# The agent's container creates the FIFOs in CTL, the volume that both share, and then the file "up".
# The two containers have no order: ECS would stop them in reverse order, the agent last.
# SHELL...: names of shells in order of preference; the first that the image has is used.

_cs_ctl=$1
shift

_cs_find() {
    IFS=:
    for _cs_name in "$@"; do
        for _cs_folder in ${PATH-} /usr/local/bin /usr/bin /bin; do
            [ -x "$_cs_folder/$_cs_name" ] && [ ! -d "$_cs_folder/$_cs_name" ] || continue
            _cs_best=$_cs_folder/$_cs_name
            return
        done
    done
}
_cs_best=/bin/sh
_cs_ifs=$IFS
_cs_find "$@"
IFS=$_cs_ifs

# Services share the network of this container; an image with another user than root has no names.
if [ -n "${CONDUCTO_SERVICE_NAMES-}" ]; then
    echo "127.0.0.1 $CONDUCTO_SERVICE_NAMES" >>/etc/hosts
    unset CONDUCTO_SERVICE_NAMES
fi 2>/dev/null

# An image may have no sleep; then this shell loops for a second or two.
until [ -e "$_cs_ctl/up" ]; do
    sleep 0.05 || sleep 1 || :
done 2>/dev/null
exec <"$_cs_ctl/in" >"$_cs_ctl/out" 2>"$_cs_ctl/err"
set -- "$_cs_ctl/run" "$_cs_best" "$_cs_ctl/kill"
