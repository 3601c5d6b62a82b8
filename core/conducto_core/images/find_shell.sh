# Prints the path of the first shell that the image has: sh -c THIS find-shell NAME...
# Searches PATH itself: `command -v` of busybox may print no path.
IFS=:
# Only expanded variables are split at the colons.
folders=${PATH:-}:/usr/local/bin:/usr/bin:/bin
for name in "$@"; do
    case "$name" in
        /*) [ -x "$name" ] && [ ! -d "$name" ] && echo "$name" && exit 0; continue ;;
    esac
    for folder in $folders; do
        [ -x "$folder/$name" ] && [ ! -d "$folder/$name" ] && echo "$folder/$name" && exit 0
    done
done
exit 1
