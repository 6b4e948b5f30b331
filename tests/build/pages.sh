# SPDX-License-Identifier: LGPL-2.1-or-later

# blocks FILE FOLDER: the blocks of a POD file that follow "=for test NAME", as
# the files NAME in FOLDER.  One ends where something is not indented.
blocks ()
{
  mkdir -p "$2" &&
    for _name in $(sed -n 's/^=for test //p' "$1"); do
      mkdir -p "$(dirname "$2/$_name")" || return
      awk -v name="$_name" '
        /^=for test / { inside = $3 == name; next }
        /^[^ ]/ { inside = 0 }
        inside && (some || NF) { some = 1; print substr ($0, 2) }' "$1" \
        > "$2/$_name" && test -s "$2/$_name" || return
    done
}
