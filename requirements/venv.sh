#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
#
# Usage: venv.sh FOLDER [VERSION [REQUIREMENTS]]
# Makes a virtual environment of that Python (the newest found unless said) with what the file lists (unless said: the lock of that Python,
# or the ranges where there is none). Does nothing where it is up to date, adds what changed, begins anew where an earlier run was cut off.
set -eu

folder=$1 version=${2:-} requirements=${3:-}
here=$(cd "$(dirname "$0")" && pwd)

say() { echo "$(basename "$folder"): $*" >&2; }

wanted() { # all that was asked for, as one hash
  { echo "$version $requirements"; cat "$here"/*.txt; } | sha256sum
}

up_to_date() { [ "$(cat "$folder/.complete" 2>/dev/null)" = "$(wanted)" ] && "$folder/bin/python" -c '' 2>/dev/null; }

up_to_date && exit 0
mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
up_to_date && exit 0

python=$("$here/find-python.sh" ${version:+"$version"})
found=$("$python" -c 'import sys; print("{}.{}".format(*sys.version_info))')
lock=$here/lock-py$(echo "$found" | tr -d .).txt
[ -e "$lock" ] || lock=$here/requirements.txt

if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  # Debian and Ubuntu keep it in a package of its own.
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing python$found-venv"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "python$found-venv"; } >&2
  else
    say "$python has no ensurepip: install it (Debian and Ubuntu: apt-get install python$found-venv) and try again."
    exit 1
  fi
fi

say "installing $(basename "${requirements:-$lock}") with Python $found, a minute or two"
started=$(date +%s)
if [ ! -e "$folder/.complete" ] || [ "$("$folder/bin/python" -c 'import sys; print("{}.{}".format(*sys.version_info))')" != "$found" ]; then
  rm -rf "$folder"
  "$python" -m venv "$folder"
fi
rm -f "$folder/.complete"
"$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "${requirements:-$lock}"
wanted >"$folder/.complete"
say "ready after $(($(date +%s) - started)) s"
