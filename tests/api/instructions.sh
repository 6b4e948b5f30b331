# SPDX-License-Identifier: LGPL-2.1-or-later

# The instructions that the library takes for a read of 512 bytes, with 64 in
# flight, from nbd_aio_pread to the end of its reply: counted, so that a change
# which makes requests more expensive is noticed.  The limit is what gcc 12 makes
# of it with -O2 on x86-64, and a tenth.

. "${srcdir:=.}/tests/build/common.sh"

limit=1320

case $(uname -m),$(make_variable CFLAGS),$($CC --version) in
  x86_64,*-O2*,*'Free Software Foundation'*) ;;
  *) skip_all "the limit is for gcc -O2 on x86-64";;
esac
if sanitized; then
  skip_all "sanitizers count, too"
fi
has valgrind || skip_all "valgrind is not installed"

# instructions READS: of all these, in the two functions that take part.
instructions ()
{
  valgrind --tool=callgrind --callgrind-out-file=/dev/null \
    --toggle-collect=nbd_aio_pread --toggle-collect=nbd_poll \
    "$builddir/tests/api/test-counts" "$1" 2>&1 |
    awk '/Collected : / { print $NF }'
}

within_limit ()
{
  _few=$(instructions 6400)
  _many=$(instructions 12800)
  test -n "$_few" && test -n "$_many" || return
  _each=$(((_many - _few) / 6400))
  echo "$_each instructions"
  test "$_each" -gt 100 && test "$_each" -le "$limit"
}

ok "a read takes no more than $limit instructions" within_limit

done_testing
