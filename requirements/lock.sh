#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
#
# Usage: lock.sh
# Resolves the ranges anew on each Python found here and writes the locks: names and versions alone, wherever they come from.
set -eu
cd "$(dirname "$0")"

lock() { # VERSION REQUIREMENTS LOCK
  python=$(./find-python.sh "$1") || return 0
  scratch=$(mktemp -d)
  "$python" -m venv "$scratch/venv"
  "$scratch/venv/bin/pip" install --quiet --dry-run --ignore-installed --report "$scratch/report.json" -r "$2"
  {
    head -n 2 run.txt
    echo "# Python $1; written by lock.sh from $2."
    "$python" -c '
import json, sys
packages = (item["metadata"] for item in json.load(open(sys.argv[1]))["install"])
print(*sorted("{}=={}".format(package["name"].lower(), package["version"]) for package in packages), sep="\n")
' "$scratch/report.json"
  } >"$3.new"
  mv "$3.new" "$3"
  rm -rf "$scratch"
}

for version in 3.11 3.12 3.13 3.14; do
  lock "$version" requirements.txt "lock-py$(echo "$version" | tr -d .).txt"
done
lock 3.11 core-2.16.txt lock-core-2.16.txt
