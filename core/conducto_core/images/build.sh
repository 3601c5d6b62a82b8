# Builds the image of a plan (conducto_core/images/build_plan.py) with a docker client. POSIX sh.
#
#   IMAGE=registry/name:tag CONTEXT_<hash>=URL… RESULT_URL=URL PUSH=yes LOGIN_URL=URL sh build.sh
#
# PUSH: yes pushes the image to its registry, empty keeps it here. With LOGIN_URL, the script logs in with
# the password that it fetches there: it is replaced while a build runs, so it is fetched again before the
# image is pushed. Steps that other images may share are also pushed, and fetched instead of built if an
# earlier build pushed them: the machine is a new one each time. PULL_THROUGH names caches of other
# registries, "host=address host=address", which are tried first.
#
# SOCI: yes pushes the image with a SOCI index of version 2, with which Fargate starts a container before it
# has fetched the whole image. Without the tools or with small layers only, the image is pushed as it is.
#
# PLATFORM, for instance linux/amd64, is that of the machines that run the image; by default this machine's.
# The plan's own platform, PLANNED_PLATFORM, replaces it, but for workers that use the engine of this machine.
#
# It runs where the plan's archive was unpacked. A context is fetched from the URL in the variable of its
# hash, or read from the file of that name in $CONTEXTS. The result goes to $RESULT_URL by PUT, or into the
# file $RESULT. Lines that start with "==> " report the state of the build.
set -eu

fail() {
    printf 'conducto: %s\n' "$1" >&2
    exit 1
}

say() { printf '==> %s\n' "$1"; }

# Print the words of a JSON list from docker, one per line.
inspect() { docker image inspect --format "$1" "$2"; }

# docker_for VERB ARGUMENTS…: pull, build or run for the platform of the image.
docker_for() {
    verb=$1
    shift
    docker "$verb" ${PLATFORM:+--platform "$PLATFORM"} "$@"
}

platform_of() { inspect '{{.Os}}/{{.Architecture}}' "$1" 2>/dev/null || :; }

# check_platform REFERENCE NAME: fail if the machines cannot run an image.
check_platform() {
    [ -n "${PLATFORM:-}" ] || return 0
    found=$(platform_of "$1")
    [ -z "$found" ] || [ "$found" = "$PLATFORM" ] ||
        fail "$2 is for $found, and workers are $PLATFORM; build it with --platform $PLATFORM"
}

fetch() { # fetch HASH DIRECTORY
    mkdir -p "$2"
    if [ -n "${CONTEXTS:-}" ]; then
        unpack "$CONTEXTS/$1.tar.gz" "$2" "$1"
        return
    fi
    eval "fetch_url=\${CONTEXT_$1:-}"
    [ -n "$fetch_url" ] || fail "no URL for context $1"
    curl -fsS --retry 5 -o "$2.tar.gz" "$fetch_url" || fail "context $1 cannot be fetched"
    check_content "$2.tar.gz" "$1"
    unpack "$2.tar.gz" "$2" "$1"
    rm -f "$2.tar.gz"
}

# check_content ARCHIVE HASH: a client chose the hash of its upload, and others launch by that name.
check_content() {
    found=$(gzip -dc "$1" | sha256sum) || fail "context $2 cannot be read"
    [ "${found%% *}" = "$2" ] || fail "context $2 has the wrong content and was deleted; launch again to upload it"
}

# unpack ARCHIVE DIRECTORY HASH: a context may contain anything, and this may run as root.
unpack() {
    tar -xzf "$1" -C "$2" || fail "context $3 cannot be unpacked"
    special=$(find "$2" ! -type f ! -type d ! -type l | head -n 1)
    [ -z "$special" ] || fail "context $3 holds a device, a pipe or a socket; remove it: ${special#"$2"/}"
}

# is_inside DIRECTORY PATH: whether PATH is a file of DIRECTORY, even after following links.
is_inside() {
    case $(readlink -f "$1/$2") in
        "$(readlink -f "$1")"/*) [ -f "$1/$2" ] ;;
        *) return 1 ;;
    esac
}

# check_rules DIRECTORY PATH: fail if reading ignore rules would read a file of this machine.
check_rules() {
    if [ -e "$1/$2" ] || [ -L "$1/$2" ]; then
        is_inside "$1" "$2" || fail "$2 links to a file outside the build context; copy that file into it"
    fi
}

has_base() {
    docker image inspect "$BASE" >/dev/null 2>&1 || return 1
    [ -z "${PLATFORM:-}" ] || [ "$(platform_of "$BASE")" = "$PLATFORM" ]
}

log_in() {
    [ -n "${LOGIN_URL:-}" ] || return 0
    curl -fsS --retry 5 "$LOGIN_URL" | docker login --username AWS --password-stdin "${IMAGE%%/*}" ||
        fail "cannot log in to the registry ${IMAGE%%/*}"
}

RELEASES=https://github.com
SOCI_TOOL=$RELEASES/awslabs/soci-snapshotter/releases/download/v0.12.1/soci-snapshotter-0.12.1-linux-amd64.tar.gz
SOCI_SHA256=${SOCI_SHA256:-32518cdcd13ed099a5f201f32e10c917aa2958a4c196af5990b7bef37ac38b5d}
# Docker keeps layers uncompressed, so the converter gets the pushed image, which crane fetches and pushes.
CRANE_TOOL=$RELEASES/google/go-containerregistry/releases/download/v0.20.7/go-containerregistry_Linux_x86_64.tar.gz
CRANE_SHA256=${CRANE_SHA256:-8ef3564d264e6b5ca93f7b7f5652704c4dd29d33935aff6947dd5adefd05953e}

# fetch_tool NAME URL SHA256: put a program of an archive into work/tools.
fetch_tool() {
    curl -fsSL --retry 3 -o "work/$1.tar.gz" "$2" || return 1
    [ "$(sha256sum <"work/$1.tar.gz" | cut -d ' ' -f 1)" = "$3" ] || {
        printf 'conducto: %s has another checksum than %s\n' "$2" "$3"
        return 1
    }
    mkdir -p work/tools && tar -xzf "work/$1.tar.gz" -C work/tools "$1"
}

push_with_index() {
    plain=${IMAGE%:*}:plain-${IMAGE##*:}
    fetch_tool soci "$SOCI_TOOL" "$SOCI_SHA256" && fetch_tool crane "$CRANE_TOOL" "$CRANE_SHA256" || return 1
    docker tag "$IMAGE" "$plain" && docker push "$plain" &&
        work/tools/crane pull --format=oci "$plain" work/plain &&
        work/tools/soci convert --standalone --format oci-dir work/plain work/indexed &&
        work/tools/crane push work/indexed "$IMAGE"
}

push() {
    # The tools are programs for x86.
    if [ "${SOCI:-}" = yes ] && [ -z "${PLANNED_PLATFORM:-}" ]; then
        push_with_index && return
        printf 'conducto: the image is pushed without a SOCI index\n'
    fi
    docker push "$IMAGE"
}

# Pull the plan's base images from caches, and tag them with the names in the plan.
ask_caches() {
    while read -r host path reference; do
        for cache in ${PULL_THROUGH:-}; do
            [ "${cache%%=*}" = "$host" ] || continue
            cached=${cache#*=}/$path
            if docker_for pull "$cached"; then
                docker tag "$cached" "$reference"
            else
                printf 'conducto: %s is not to be had; asking its own registry\n' "$cached"
            fi
        done
    done <bases
}

# kept_as NUMBER: print the reference of a step that is kept for other builds, or nothing.
kept_as() {
    kept=$(cat "steps/$1/kept")
    if [ -n "$kept" ] && [ -n "$KEEP_STEPS" ] && [ -n "${PUSH:-}" ]; then
        printf '%s:step-%s' "${IMAGE%:*}" "$kept"
    fi
}

# Set $number to the first step to build: an earlier build kept those before it.
fetch_steps() {
    number=$STEPS
    while [ "$number" -gt 0 ]; do
        reference=$(kept_as $((number - 1)))
        if [ -n "$reference" ] && docker_for pull --quiet "$reference" >/dev/null 2>&1; then
            top=$steps:$((number - 1))
            docker tag "$reference" "$top"
            printf 'an earlier build made this already: %s\n' "$(cat "steps/$((number - 1))/layer")"
            return
        fi
        number=$((number - 1))
    done
}

forget_steps() {
    number=0
    while [ "$number" -lt "$STEPS" ]; do
        docker image rm "$steps:$number" >/dev/null 2>&1 || :
        number=$((number + 1))
    done
}

keep_step() {
    reference=$(kept_as "$1")
    [ -n "$reference" ] || return 0
    docker tag "$steps:$1" "$reference"
    docker push --quiet "$reference" >/dev/null 2>&1 ||
        printf 'conducto: %s was not kept for other builds\n' "$reference"
}

# clone FOLDER: check out the commit of $CLONE_URL, with its submodules. A password is only for its
# repository, and reaches git in the environment: all users can see arguments of processes.
clone() {
    export GIT_TERMINAL_PROMPT=0
    git_with "${CONDUCTO_GIT_LOGIN:-}" clone --quiet --branch "$CLONE_BRANCH" -- "$CLONE_URL" "$1" ||
        fail "$CLONE_URL cannot be cloned; if the server redirects to another address, use that one"
    git_with "${CONDUCTO_GIT_LOGIN:-}" -C "$1" checkout --quiet "$CLONE_COMMIT" ||
        fail "$CLONE_URL has no commit $CLONE_COMMIT any more; launch again"
    git_with "${CONDUCTO_GIT_SUBMODULE_LOGINS:-}" -C "$1" submodule --quiet update --init --recursive ||
        fail "$CLONE_URL: its submodules cannot be cloned; an administrator lists private ones: conducto trigger add --submodule URL"
    unset CONDUCTO_GIT_LOGIN CONDUCTO_GIT_SUBMODULE_LOGINS
}

# git_with LOGINS ARGUMENTS…: run git with the passwords of some repositories, or without any.
git_with() {
    export CONDUCTO_GIT_LOGINS="$1"
    shift
    if [ -n "$CONDUCTO_GIT_LOGINS" ]; then
        private_git "$@"
    else
        git -c credential.helper= "$@"
    fi
}

# step NUMBER: build image NUMBER of $steps.
step() {
    folder=steps/$1
    here=work/$1
    layer=$(cat "$folder/layer")
    context=$(cat "$folder/context")
    if [ -s "$folder/clone" ]; then
        say cloning
        . "./$folder/clone"
        clone "$here"
    elif [ -n "$context" ]; then
        fetch "$context" "$here"
    else
        mkdir -p "$here"
    fi
    if [ -d "$folder/files" ]; then
        cp -R "$folder/files/." "$here/"
    fi
    # Outside of the context, so that a link in the context cannot redirect the write.
    dockerfile=work/$1.dockerfile
    case $layer in
        built)
            say building
            rules=$(cat "$folder/name").dockerignore
            check_rules "$here" .dockerignore
            check_rules "$here" "$rules"
            [ ! -e "$here/$rules" ] || cp "$here/$rules" "$dockerfile.dockerignore"
            ;;
        installed) say installing ;;
        copied)
            say copying
            printf '!*\n' >"$dockerfile.dockerignore"
            ;;
    esac
    case $layer in
        built) cp "$folder/dockerfile" "$dockerfile" ;;
        *) sed "1s/^FROM conducto_step:/FROM $steps:/" "$folder/dockerfile" >"$dockerfile" ;;
    esac
    top=$steps:$1
    user=$(user_of "$1")
    . "./$folder/args"
    case $layer in
        installed) set -- "$@" --build-arg "CONDUCTO_USER=$user" ;;
        copied) [ "$user" = root ] || set -- "$@" --build-arg "CONDUCTO_OWNER=$user" ;;
    esac
    docker_for build --progress=plain --tag "$top" --file "$dockerfile" "$@" "$here" 2>&1
    rm -rf "$here"
}

# The user of the image below a step: an installing Dockerfile restores it, and it owns copied code.
user_of() {
    if [ "$1" -gt 0 ]; then
        below=$steps:$(($1 - 1))
    else
        below=$BASE
    fi
    user=
    [ -z "$below" ] || user=$(inspect '{{.Config.User}}' "$below" 2>/dev/null) || user=
    printf '%s' "${user:-root}"
}

find_shell() {
    case $WANTED_SHELL in
        __auto__) names='bash ash zsh sh' ;;
        *) names=$WANTED_SHELL ;;
    esac
    # shellcheck disable=SC2086
    docker_for run --rm --network none --entrypoint /bin/sh "$top" -c "$(cat find_shell.sh)" find-shell $names
}

# The first process of a worker is Conducto's: an image's own entry point must not run, but stays readable.
extend() {
    say extending
    shell=$(find_shell) || fail "the image has no shell to run commands with (looked for: $WANTED_SHELL); build on an image that has /bin/sh"
    mkdir -p work/last
    {
        printf 'FROM %s\nENTRYPOINT []\n' "$top"
        entrypoint=$(inspect '{{json .Config.Entrypoint}}' "$top")
        case $entrypoint in
            null | '[]') ;;
            *) printf 'ENV ENTRYPOINT="%s"\n' "$(printf '%s' "$entrypoint" | sed 's/[\\"$]/\\&/g')" ;;
        esac
        printf 'LABEL com.conducto.image.layer=extended com.conducto.image.shell="%s"\n' "$shell"
    } >work/last/Dockerfile
    docker_for build --progress=plain --tag "$IMAGE" work/last 2>&1
    check_platform "$IMAGE" "the image"
}

report() {
    workdir=$(inspect '{{json .Config.WorkingDir}}' "$IMAGE")
    printf '{"reference": "%s", "shell": "%s", "workdir": %s}\n' "$IMAGE" "$shell" "$workdir" >work/result.json
    if [ -n "${RESULT:-}" ]; then
        cp work/result.json "$RESULT"
    else
        curl -fsS --retry 5 -T work/result.json "$RESULT_URL" || fail "the result cannot be delivered"
    fi
}

[ -n "${IMAGE:-}" ] || fail "IMAGE is not set"
. ./recipe.env
[ -z "${PLATFORM:-}" ] || PLATFORM=${PLANNED_PLATFORM:-$PLATFORM}
mkdir -p work
# Intermediate images have unique names: other builds may run on the same engine.
steps=conducto_step_$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
trap forget_steps EXIT
log_in
top=$BASE
fetch_steps
if [ "$number" -eq 0 ]; then
    if [ -n "${PULL_THROUGH:-}" ]; then
        say pulling
        ask_caches
    fi
    if [ -n "$BASE" ] && ! has_base; then
        say pulling
        docker_for pull "$BASE" || {
            check_platform "$BASE" "the image $BASE of this machine"
            exit 1
        }
    fi
fi
while [ "$number" -lt "$STEPS" ]; do
    step "$number"
    check_platform "$top" "the image"
    keep_step "$number"
    number=$((number + 1))
done
extend
# First: an image in the registry without its result could not be pushed again.
report
if [ -n "${PUSH:-}" ]; then
    say pushing
    log_in
    push
fi
say done
