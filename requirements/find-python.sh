#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
#
# Usage: find-python.sh [VERSION]
# Prints the path of an interpreter of that version (3.11), or of the newest one found that the collection supports.
# A version manager's shim in PATH exits 127 for a version that is not set, so pyenv's own folders are looked at as well,
# and each candidate is run before it is believed.
set -eu

for version in ${1:-3.14 3.13 3.12 3.11}; do
  for candidate in $(
    IFS=:
    for folder in $PATH; do echo "$folder/python$version"; done
    root=${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "$HOME/.pyenv")}
    find "$root/versions" -path "$root/versions/$version.*/bin/python$version" 2>/dev/null | sort -Vr
  ); do
    if [ -x "$candidate" ] && "$candidate" -c 'import sys; print(sys.executable)' 2>/dev/null; then
      exit 0
    fi
  done
done
echo "No Python ${1:-3.11 or newer} was found in PATH or in pyenv's versions: install one (Debian and Ubuntu: apt-get install python3)." >&2
exit 1
