#!/usr/bin/env bash
# The steps of a release that are the same on every machine. Called by workflows/release.yml, and by tests/release.rs.
#
#   release.sh check TAG                       fails unless TAG and repository are those of Cargo.toml
#   release.sh static BINARY                   fails if a Linux binary asks for a dynamic loader
#   release.sh rehearse BINARY                 a migration between two simulated accounts, copied and verified
#   release.sh package TARGET BINARY DIRECTORY makes the archive of a target, as Cargo.toml tells cargo binstall
#   release.sh sums DIRECTORY                  writes SHA256SUMS of all files in it
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

fail() {
    printf 'release: %s\n' "$1" >&2
    exit 1
}

# A member of the package in Cargo.toml.
of_package() {
    cargo metadata --manifest-path "$root/Cargo.toml" --format-version 1 --no-deps --locked | jq -r ".packages[0].$1"
}

case ${1-} in
check)
    version=$(of_package version)
    [ "$2" = "v$version" ] || fail "the tag $2 is not v$version, the version in Cargo.toml: change one of them"
    if [ -n "${GITHUB_REPOSITORY-}" ]; then
        here=${GITHUB_SERVER_URL-https://github.com}/$GITHUB_REPOSITORY
        [ "$(of_package repository)" = "$here" ] ||
            fail "Cargo.toml needs repository = \"$here\": that is where cargo binstall looks for the archives"
    fi
    ;;
static)
    # `grep -q` would close the pipe early, which pipefail takes for a failure.
    headers=$(readelf --program-headers --wide "$2")
    case $headers in
    *INTERP*) fail "$2 is not static: $(grep interpreter <<<"$headers")" ;;
    *LOAD*) ;;
    *) fail "$2 has no program headers that can be read" ;;
    esac
    ;;
rehearse)
    accounts='--source-account 123456789012 --dest-account 987654321098'
    "$2" simulate --vault my-backup-vault=50 --job-seconds 0.1-0.3 -- sh -c "
        shuffle-aws-vaults copy $accounts --vault my-backup-vault --poll-interval 0.2 --yes &&
        shuffle-aws-vaults verify $accounts"
    ;;
package)
    name=$(of_package name)
    folder=$name-$(of_package version)-$2
    mkdir -p "$4"
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    mkdir -p "$scratch/$folder/docs"
    cp "$3" "$scratch/$folder/$name"
    chmod 755 "$scratch/$folder/$name"
    cp "$root"/{README.md,USER_GUIDE.md,LICENSE} "$scratch/$folder"
    cp -R "$root"/docs/*.md "$root/docs/examples" "$scratch/$folder/docs"
    tar -czf "$4/$folder.tar.gz" -C "$scratch" "$folder"
    ;;
sums)
    cd "$2"
    rm -f SHA256SUMS
    sums=$(sha256sum -- *)
    printf '%s\n' "$sums" >SHA256SUMS
    ;;
*) fail 'check TAG, static BINARY, rehearse BINARY, package TARGET BINARY DIRECTORY or sums DIRECTORY' ;;
esac
