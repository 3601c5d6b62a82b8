"""Shell scripts that install software while an image is built.

They are POSIX sh, because an image may have no other shell. They detect the distribution, so that
one generated Dockerfile works for all. Their text is part of a layer's hash.
"""

COMMON = r"""
set -eu

fail() {
    echo "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

flavor() {
    for file in /etc/os-release /usr/lib/os-release; do
        if [ -r "$file" ]; then
            # A subshell: the file sets variables that may clash with the script's.
            ( . "$file"; echo "${ID:-unknown} ${ID_LIKE:-}" )
            return
        fi
    done
    echo unknown
}

manager() {
    for word in $(flavor); do
        case "$word" in
            debian|ubuntu) echo apt; return ;;
            alpine) echo apk; return ;;
            fedora) echo dnf; return ;;
            rhel|centos|rocky|almalinux|amzn)
                # Old releases only have yum.
                if has dnf; then echo dnf; else echo yum; fi
                return
                ;;
        esac
    done
    fail "Don't know how to install packages for linux_flavor=$(flavor | cut -d ' ' -f 1);" \
        "use a Debian, Ubuntu, Alpine, Fedora or RHEL image, or install them in a Dockerfile"
}

add() {
    manager=$(manager)
    echo "installing with $manager: $*"
    case "$manager" in
        apt)
            export DEBIAN_FRONTEND=noninteractive
            apt-get update -qq
            apt-get install -qq -y --no-install-recommends "$@"
            rm -rf /var/lib/apt/lists/*
            ;;
        apk) apk add --no-cache "$@" ;;
        dnf) dnf install -y -q "$@"; dnf clean -q all ;;
        yum) yum install -y -q "$@"; yum clean -q all ;;
    esac
}
"""

PACKAGES = r"""
. /conducto-install/common.sh
add "$@"
"""

DOCKER = r"""
. /conducto-install/common.sh
if has docker; then
    echo "a docker client is already installed: $(command -v docker)"
    exit 0
fi
case "$(manager)" in
    # Older Debians and Ubuntus have the client only together with the engine.
    apt) add docker-cli openssh-client || add docker.io openssh-client ;;
    apk) add docker-cli openssh-client ;;
    *) add docker-cli openssh-clients || add moby-engine openssh-clients ;;
esac
has docker || fail "this distribution packages no docker client; install one in a Dockerfile"
"""

PIP = r"""
. /conducto-install/common.sh
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1
wheel=$1
shift

find_python() {
    for name in python3 python python3.14 python3.13 python3.12 python3.11 python3.10 \
        python3.9 python3.8
    do
        if has "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 8))'; then
            command -v "$name"
            return
        fi
    done
    return 1
}

has_pip() {
    "$python" -m pip --version >/dev/null 2>&1
}

add_pip() {
    case "$(manager)" in
        apk) add python3 py3-pip ;;
        *) add python3 python3-pip ;;
    esac
}

if ! python=$(find_python); then
    echo "no Python 3.8 or later found"
    add_pip
    python=$(find_python) || fail "this distribution's Python is older than 3.8; use another image"
fi
has_pip || "$python" -m ensurepip >/dev/null 2>&1 || true
has_pip || add_pip
has_pip || fail "cannot install pip for $python; install it in a Dockerfile"

# PEP 668: the distribution owns this Python, but the image belongs to Conducto.
if "$python" -c 'import os, sys, sysconfig
marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
sys.exit(sys.prefix != sys.base_prefix or not os.path.exists(marker))'
then
    export PIP_BREAK_SYSTEM_PACKAGES=1
fi

if [ $# -gt 0 ]; then
    # Before 20.3, pip supports neither current wheels nor the current resolver.
    if ! "$python" -c 'import pip, sys
sys.exit(tuple(int(n) for n in pip.__version__.split(".")[:2]) < (20, 3))'
    then
        "$python" -m pip install --upgrade pip
    fi
    "$python" -m pip install "$@"
fi
if [ -n "$wheel" ]; then
    # From a file and without dependencies, so without a registry.
    "$python" -m pip install --no-index --no-deps --force-reinstall "$wheel"
fi
"""

NPM = r"""
. /conducto-install/common.sh
if ! has npm; then
    add nodejs npm
fi
mkdir -p /mnt/conducto
cd /mnt/conducto
npm install --no-audit --no-fund "$@"
"""
