# SPDX-License-Identifier: LGPL-2.1-or-later

# The lines of medians.awk as a table.  The ratios say how many times ours is as
# good: more requests per second, or less processor time.

function ratio (a, b)
{
  return b > 0 ? sprintf("%.2f", a / b) : "-"
}

BEGIN {
  printf "%-20s %11s %8s %8s %10s %8s %8s\n", "", "requests", "against",
    "against", "us of CPU", "against", "against"
  printf "%-20s %11s %8s %8s %10s %8s %8s\n", "case", "per second", "system",
    "floor", "a request", "system", "floor"
}

{
  printf "%-20s %11.0f %8s %8s %10.3f %8s %8s\n", $1, $2, ratio($2, $3),
    ratio($2, $4), $5, ratio($6, $5), ratio($7, $5)
}
