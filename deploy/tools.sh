#!/bin/sh
# Programs that no Python package brings: deploy/tools.sh prometheus|alertmanager|chromium...
# Installs the missing ones with apt-get when that is here and we are root, and says so; otherwise
# says what is missing and what that means. Never fails: what needs them decides.
# IOC_NO_APT=1 installs nothing.
set -eu

say() { printf '%s\n' "$*" >&2; }

is_here() {
    case $1 in
        prometheus) command -v prometheus >/dev/null && command -v promtool >/dev/null ;;
        alertmanager)
            command -v prometheus-alertmanager >/dev/null || command -v alertmanager >/dev/null ;;
        chromium) command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
            command -v google-chrome >/dev/null ;;
        *) say "unknown tool: $1"; exit 2 ;;
    esac
}

packages=""
for tool in "$@"; do
    if ! is_here "$tool"; then
        case $tool in
            alertmanager) packages="$packages prometheus-alertmanager" ;;
            *) packages="$packages $tool" ;;
        esac
    fi
done
[ -n "$packages" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null || [ -n "${IOC_NO_APT:-}" ]; then
    say "Not on this machine:$packages. What needs them is left out."
    say "  Debian, Ubuntu:  sudo apt-get install --no-install-recommends$packages"
    exit 0
fi

# Debian starts a service when it installs it; ours are started by ioc up, on our own ports.
policy=/usr/sbin/policy-rc.d
guard="# laid by deploy/tools.sh while it installs"
remove_guard() {
    if grep -qs "$guard" "$policy"; then rm -f "$policy"; fi
}
trap remove_guard EXIT
trap 'exit 130' INT TERM
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\n%s\nexit 101\n' "$guard" >"$policy"
    chmod 755 "$policy"
fi

say "installing with apt-get (its services are not started):$packages"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086 # one word per package is meant
if apt-get update -q >"$log" 2>&1 && apt-get install -qy --no-install-recommends $packages >>"$log" 2>&1
then
    rm -f "$log"
    say "installed:$packages"
else
    tail -n 5 "$log" >&2
    say "apt-get could not install:$packages (its output is in $log). What needs them is left out."
fi
