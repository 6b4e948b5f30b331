# SPDX-License-Identifier: LGPL-2.1-or-later

# From bench.csv: a line for each case,
#   CASE RATE-OURS RATE-SYSTEM RATE-FLOOR CPU-OURS CPU-SYSTEM CPU-FLOOR
# with requests per second and microseconds of processor time per request, the
# medians of all rounds; 0 where there is none.

function median (key, column,    n, i, j, v, t)
{
  n = count[key]
  for (i = 1; i <= n; i++)
    v[i] = value[key, i, column]
  for (i = 2; i <= n; i++)
    for (j = i; j > 1 && v[j - 1] > v[j]; j--) {
      t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
    }
  return n == 0 ? 0 : n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

BEGIN { FS = "," }

NR > 1 {
  key = $1 SUBSEP $2
  i = ++count[key]
  value[key, i, "rate"] = $4 / $5
  value[key, i, "cpu"] = $6 / $4 * 1e6
  if (!seen[$1]++)
    names[++nr] = $1
}

END {
  split("ours system floor", libraries, " ")
  for (i = 1; i <= nr; i++) {
    printf "%s", names[i]
    for (j = 1; j <= 3; j++)
      printf " %.1f", median(names[i] SUBSEP libraries[j], "rate")
    for (j = 1; j <= 3; j++)
      printf " %.4f", median(names[i] SUBSEP libraries[j], "cpu")
    print ""
  }
}
