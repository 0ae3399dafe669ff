#!/usr/bin/env bash
# Builds stand-ins for the public images that the sample's Dockerfile and compose file name, from real parts of
# this Debian machine: busybox, the pinned Go toolchain, CA certificates, PostgreSQL, Redis and the libraries
# that these need. For machines that can pull no public image; where one is there already, it is left alone.
#
# usage: build.sh GOROOT
set -euo pipefail
goroot=$1
label='rondel.stand-in=true'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

have() { docker image inspect "$1" >/dev/null 2>&1; }

# A root with busybox, users, CA certificates.
base() {
    local root=$1
    mkdir -p "$root"/{bin,etc/ssl/certs,tmp,root,proc,sys,dev,run,var/run,usr/bin}
    chmod 1777 "$root/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox"
    local name
    for name in $("$root/bin/busybox" --list); do
        [ "$name" = busybox ] || ln -sf /bin/busybox "$root/bin/$name"
    done
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    printf 'root:x:0:0:root:/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\nredis:x:999:999::/data:/bin/sh\n' > "$root/etc/passwd"
    printf 'root:x:0:\npostgres:x:70:\nredis:x:999:\n' > "$root/etc/group"
    printf 'hosts: files dns\n' > "$root/etc/nsswitch.conf"
}

# The libraries that programs of this machine need, at their own paths.
with_libraries() {
    local root=$1 file
    shift
    for file in "$@"; do
        ldd "$file" 2>/dev/null | grep -oE '/[^ ]+' || true
    done | sort -u | while read -r file; do
        mkdir -p "$root$(dirname "$file")"
        cp -Ln "$file" "$root$file" 2>/dev/null || true
    done
}

import() {
    local root=$1 name=$2
    shift 2
    local changes=(--change "LABEL $label")
    local change
    for change in "$@"; do changes+=(--change "$change"); done
    tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . | docker import "${changes[@]}" - "$name" >/dev/null
    echo "made a stand-in for $name"
}

if ! have alpine:3.19; then
    base "$work/alpine"
    import "$work/alpine" alpine:3.19 'CMD ["/bin/sh"]'
fi

if ! have golang:1.22-alpine; then
    base "$work/golang"
    mkdir -p "$work/golang/usr/local"
    cp -a "$goroot" "$work/golang/usr/local/go"
    "$work/golang/usr/local/go/bin/go" version | grep -q 'go1\.22\.12 '
    import "$work/golang" golang:1.22-alpine \
        'ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        'ENV GOTOOLCHAIN=local' 'CMD ["/bin/sh"]'
fi

if ! have redis:7-alpine; then
    base "$work/redis"
    mkdir -p "$work/redis/usr/local/bin" "$work/redis/data"
    cp -L "$(command -v redis-server)" "$(command -v redis-cli)" "$work/redis/usr/local/bin/"
    with_libraries "$work/redis" "$(command -v redis-server)" "$(command -v redis-cli)"
    import "$work/redis" redis:7-alpine 'ENV PATH=/usr/local/bin:/bin' 'WORKDIR /data' 'EXPOSE 6379' \
        'CMD ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""]'
fi

if ! have postgres:16-alpine; then
    base "$work/postgres"
    lib=$(ls -d /usr/lib/postgresql/*/ | tail -n 1)
    version=$(basename "$lib")
    mkdir -p "$work/postgres/usr/lib/postgresql" "$work/postgres/usr/share/postgresql" "$work/postgres/var/lib/postgresql" "$work/postgres/usr/share"
    cp -aL "${lib%/}" "$work/postgres/usr/lib/postgresql/$version"
    cp -aL "/usr/share/postgresql/$version" "$work/postgres/usr/share/postgresql/$version"
    cp -a /usr/share/zoneinfo "$work/postgres/usr/share/zoneinfo"
    with_libraries "$work/postgres" "$lib"bin/* "$lib"lib/*.so
    cat > "$work/postgres/entrypoint" <<'EOS'
#!/bin/sh
# What the official image's entrypoint does of its environment, as far as the sample uses it.
set -eu
data=/var/lib/postgresql/data
if [ ! -s "$data/PG_VERSION" ]; then
    mkdir -p "$data"
    chown -R postgres:postgres /var/lib/postgresql
    chmod 700 "$data"
    printf '%s' "$POSTGRES_PASSWORD" > /tmp/password
    chown postgres /tmp/password
    su postgres -c "initdb -D $data --no-locale -E UTF8 -U $POSTGRES_USER --pwfile=/tmp/password --auth=scram-sha-256" >/dev/null
    rm /tmp/password
    printf 'host all all all scram-sha-256\nlocal all all trust\n' > "$data/pg_hba.conf"
    su postgres -c "pg_ctl -D $data -w -o \"-c listen_addresses='' -k /tmp\" start" >/dev/null
    su postgres -c "createdb -h /tmp -U $POSTGRES_USER $POSTGRES_DB" || true
    su postgres -c "pg_ctl -D $data -m fast -w stop" >/dev/null
fi
exec su postgres -c "exec postgres -D $data -c listen_addresses='*' -k /tmp"
EOS
    chmod 755 "$work/postgres/entrypoint"
    import "$work/postgres" postgres:16-alpine "ENV PATH=/usr/lib/postgresql/$version/bin:/bin" 'ENV PGHOST=127.0.0.1' 'EXPOSE 5432' \
        'ENTRYPOINT ["/entrypoint"]'
fi
