# shellcheck shell=bash
# Sourced by the other scripts. Prints this machine's own Debian 12 package sources, so that the board is built
# from wherever this machine gets its packages.

apt_sources() { # [OPTIONS of the source, as `signed-by=...`]
    local options=${1:+[$1] }
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
        sort -u | awk -v options="$options" \
        '$3 == "main" && $2 ~ /^bookworm(-security|-updates)?$/ { print "deb " options $1 " " $2 " main" }' |
        grep . ||
        { echo "board: no Debian 12 (bookworm) package source on this machine" >&2; return 1; }
}
