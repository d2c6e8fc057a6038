# What the scripts of this folder need beside cargo; they source this file. On Debian and its relatives what is missing
# is installed.
# shellcheck shell=bash

say() { printf '%s: %s\n' "scripts/${0##*/}" "$*" >&2; }
fail() { say "$*"; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "'$*' needs root and there is no sudo: run it as root, then run scripts/${0##*/} again"
    fi
}

# The same places that tests/it/support/postgres.rs looks in.
has_postgres() {
    local folder version
    local -a folders
    IFS=: read -r -a folders <<<"$PATH"
    for folder in "${folders[@]}" /usr/lib/postgresql/*/bin; do
        [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && [ -x "$folder/pg_ctl" ] || continue
        version=$("$folder/postgres" --version | sed -nE 's/^[^0-9]*([0-9]+).*/\1/p')
        [ "${version:-0}" -ge 15 ] && return
    done
    return 1
}

# The same places that tests/it/support/nats.rs looks in: Debian's package puts it where only root's PATH leads.
has_nats() {
    command -v nats-server >/dev/null || [ -x /usr/sbin/nats-server ] || [ -x /usr/local/bin/nats-server ]
}

install_nats() {
    # The package would start a server for the whole machine; only the binary is wanted. A policy that is there stays.
    local policy=/usr/sbin/policy-rc.d ours=
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    local outcome=0
    install_packages nats-server || outcome=$?
    [ -z "$ours" ] || as_root rm -f "$policy"
    [ "$outcome" = 0 ] && has_nats || fail "the package nats-server brought no nats-server"
}

# The oldest Node that the npm projects of this repository work with; Debian 12 has 18.20.
node_at_least=18.18

has_node() {
    local version
    command -v npm >/dev/null && version=$(node --version 2>/dev/null) || return 1
    printf '%s\n' "$node_at_least" "${version#v}" | sort --version-sort --check=quiet
}

install_node() {
    local -a missing=()
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
    has_node ||
        fail "node is $(node --version 2>&1): $node_at_least or newer is needed, with npm; see https://nodejs.org"
}

# The same names that tests/it/support/browser.rs looks for.
has_chromium() {
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null
}

install_chromium() {
    install_packages chromium
    has_chromium || fail "the package chromium brought no chromium"
}

# The unit in packaging/ is checked with it; only the program is needed, nothing is started.
install_systemd() {
    command -v systemd-analyze >/dev/null && return
    install_packages systemd
    command -v systemd-analyze >/dev/null || fail "the package systemd brought no systemd-analyze"
}

install_packages() {
    command -v apt-get >/dev/null ||
        fail "missing: $* (as Debian calls it), and there is no apt-get to install it with"
    say "installing $* with apt-get"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get install -qq --yes --no-install-recommends "$@"
}

install_postgres() {
    # The package would make and start a cluster for the whole machine; only the binaries are wanted.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        as_root mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    install_packages postgresql
    has_postgres || fail "the package postgresql of this system is older than 15, which is the oldest that cosell supports"
}

install_what_the_build_needs() {
    command -v cargo >/dev/null || fail "there is no cargo: install Rust from https://rustup.rs"

    # Libraries in C are built: aws-lc (crypto) and SQLite.
    local -a missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
    # Before cargo: the playground's bundle is made while the server is built.
    has_node || install_node
}

install_what_is_missing() {
    install_what_the_build_needs
    # Tests signal processes with it; slim images come without.
    [ -x /bin/kill ] || [ -x /usr/bin/kill ] || install_packages procps
    [ -n "${COSELL_TEST_POSTGRES_URL:-}" ] || has_postgres || install_postgres
    has_nats || install_nats
    install_systemd
}
