# SPDX-License-Identifier: LGPL-2.1-or-later

# The header as it is installed, in every version of C and C++ that it is
# written for, with all warnings as errors: as the first include, alone, and
# after headers that define much.

. "${srcdir:=.}/tests/abi/common.sh"

dest=$tmp/dest

only_the_header ()
{
  find "$dest" ! -type d > "$tmp/files"
  cat "$tmp/files"
  test "$(cat "$tmp/files")" = "$installed/libnbd.h"
}

installed=$dest$(make_variable includedir)
need "the header is installed" \
  make_install install-nodist_includeHEADERS "$dest"
ok "it comes alone" only_the_header

check_header "$installed"

echo '#include <libnbd.h>' > "$tmp/alone.c"
check_languages "alone" "$installed" "$tmp/alone.c"

# What is there in every version of the languages, and the POSIX headers that
# such programs have.
cat > "$tmp/after.c" <<'EOF'
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <libnbd.h>
EOF
check_languages "after many others" "$installed" "$tmp/after.c"

done_testing
