# SPDX-License-Identifier: LGPL-2.1-or-later

# Compares the transcripts WORK/system/N and WORK/ours/N of the scenarios that
# WORK/list names, and prints TAP.  ACCEPTED holds the differences that are
# meant, in blocks that are separated by empty lines:
#
#   # why it is so (at least one line)
#   scenarios: PATTERN | PATTERN...         * stands for anything
#   system: REGEX                           what a line of the system's has
#   ours: REGEX                             what ours has there instead
#   only system: REGEX                      a whole line that ours lacks
#   only ours: REGEX                        a whole line that the other lacks
#   anything
#
# A pair of "system" and "ours" accepts that REGEX stands for REGEX; what is
# around it must be the same.  A block has any number of these rules.  A rule,
# and a pattern, that is not needed is a failure.

function fail_at (text)
{
  print "Bail out! " accepted ":" line_number ": " text
  exit 1
}

function end_block ()
{
  if (in_block && !has_reason[nr_blocks])
    fail_at("there is no reason above this block")
  if (in_block && !(nr_blocks in patterns))
    fail_at("this block does not name scenarios")
  if (in_block && last_key == "system")
    fail_at("\"system\" without \"ours\"")
  in_block = 0
}

function add_rule (kind, value)
{
  nr_rules++
  rule_kind[nr_rules] = kind
  rule_block[nr_rules] = nr_blocks
  rule_line[nr_rules] = line_number
  if (kind == "pair")
    rule_system[nr_rules] = value
  else
    rule_regex[nr_rules] = "^(" value ")$"
}

function read_line (line,    key, value)
{
  if (line == "") {
    end_block()
    reason = 0
    return
  }
  if (line ~ /^#/) {
    reason = 1
    return
  }
  if (!in_block) {
    in_block = 1
    nr_blocks++
    has_reason[nr_blocks] = reason
    last_key = ""
  }
  key = line
  sub(/:.*/, "", key)
  value = line
  sub(/^[a-z ]*: ?/, "", value)
  if (key == "scenarios") {
    patterns[nr_blocks] = value
    block_line[nr_blocks] = line_number
  }
  else if (key == "system")
    add_rule("pair", value)
  else if (key == "ours" && last_key == "system")
    rule_ours[nr_rules] = value
  else if (key == "only system" || key == "only ours" || key == "anything")
    add_rule(key, value)
  else
    fail_at("'" line "' is not understood")
  last_key = key
}

function read_accepted (    line)
{
  nr_blocks = nr_rules = line_number = in_block = 0
  while ((getline line < accepted) > 0) {
    line_number++
    read_line(line)
  }
  end_block()
  close(accepted)
}

# Nothing that is accepted for a scenario that cannot run is stale.
function use_all (    r)
{
  for (r = 1; r <= nr_rules; r++)
    if (rule_block[r] in selected)
      use(r)
}

# A pattern with * as a regular expression.
function as_regex (pattern)
{
  gsub(/[][().+?^$\\{}]/, "\\\\&", pattern)
  gsub(/\*/, ".*", pattern)
  return "^" pattern "$"
}

# The blocks for this scenario, each by the first of its patterns that fits.
function select (name,    b, i, k, list)
{
  split("", selected)
  for (b = 1; b <= nr_blocks; b++) {
    k = split(patterns[b], list, / *\| */)
    for (i = 1; i <= k; i++)
      if (name ~ as_regex(list[i])) {
        selected[b] = list[i]
        break
      }
  }
}

function use (rule)
{
  used_rule[rule] = 1
  used_pattern[rule_block[rule], selected[rule_block[rule]]] = 1
}

function read_lines (file, lines,    count, line)
{
  count = 0
  while ((getline line < file) > 0)
    lines[++count] = line
  close(file)
  return count
}

# Whether two lines are the same but for what one pair accepts.
function same_but_one (a, b,    r, a2, b2)
{
  for (r = 1; r <= nr_rules; r++) {
    if (rule_kind[r] != "pair" || !(rule_block[r] in selected))
      continue
    a2 = a
    b2 = b
    if (sub(rule_system[r], "\001", a2) && sub(rule_ours[r], "\001", b2) &&
        a2 == b2) {
      use(r)
      return 1
    }
  }
  return 0
}

# Or for what several accept, one after another.
function same_but (a, b,    r, a2, b2, n, tried)
{
  if (same_but_one(a, b))
    return 1
  n = 0
  for (r = 1; r <= nr_rules; r++) {
    if (rule_kind[r] != "pair" || !(rule_block[r] in selected))
      continue
    a2 = a
    b2 = b
    if (sub(rule_system[r], "\001", a2) && sub(rule_ours[r], "\001", b2)) {
      a = a2
      b = b2
      tried[++n] = r
      if (a == b) {
        while (n > 0)
          use(tried[n--])
        return 1
      }
    }
  }
  return 0
}

function accepted_as (kind, line,    r)
{
  for (r = 1; r <= nr_rules; r++)
    if (rule_kind[r] == kind && (rule_block[r] in selected) &&
        (kind == "anything" || line ~ rule_regex[r])) {
      use(r)
      return 1
    }
  return 0
}

function compare (a, na, b, nb,    i, j)
{
  i = j = 1
  while (i <= na || j <= nb) {
    if (i <= na && j <= nb && (a[i] == b[j] || same_but(a[i], b[j]))) {
      i++
      j++
    }
    else if (j <= nb && accepted_as("only ours", b[j]))
      j++
    else if (i <= na && accepted_as("only system", a[i]))
      i++
    else
      return accepted_as("anything", "")
  }
  return 1
}

function report (good, name)
{
  cases++
  printf "%sok %d - %s\n", good ? "" : "not ", cases, name
  failed += !good
}

function print_output (command,    line)
{
  while ((command | getline line) > 0)
    print "# " line
  close(command)
}

function compare_scenario (name, number,    a, b, na, nb, i, broken)
{
  na = read_lines(work "/system/" number, a)
  nb = read_lines(work "/ours/" number, b)
  select(name)
  if (nb > 0 && b[1] ~ /^SKIP /) {
    use_all()
    printf "ok %d - %s # %s\n", ++cases, name, b[1]
    return
  }
  broken = nb == 0
  for (i = 1; i <= nb; i++)
    if (b[i] ~ /TIMED OUT|MISMATCH|^ENDED/)
      broken = 1
  if (!broken && compare(a, na, b, nb)) {
    report(1, name)
    return
  }
  report(0, name)
  print_output("diff -U 4 --label system " work "/system/" number \
               " --label ours " work "/ours/" number)
}

# What was accepted without need.
function report_stale (    r, b, i, k, list, stale)
{
  stale = 0
  for (r = 1; r <= nr_rules; r++)
    if (!(r in used_rule)) {
      print "# accepted.txt:" rule_line[r] ": nothing differs so"
      stale++
    }
  for (b = 1; b <= nr_blocks; b++) {
    k = split(patterns[b], list, / *\| */)
    for (i = 1; i <= k; i++)
      if (!((b, list[i]) in used_pattern)) {
        print "# accepted.txt:" block_line[b] ": " list[i] \
              ": no such scenario differs so"
        stale++
      }
  }
  report(stale == 0, "every accepted difference is one")
}

function report_uncalled (    line, uncalled)
{
  uncalled = 0
  while ((getline line < (work "/uncalled")) > 0) {
    print "# not called: " line
    uncalled++
  }
  report(uncalled == 0, "every function of 1.14 is called")
}

BEGIN {
  read_accepted()
  number = 0
  while ((getline name < (work "/list")) > 0)
    compare_scenario(name, number++)
  report_stale()
  report_uncalled()
  print "1.." cases
  exit failed > 0
}
