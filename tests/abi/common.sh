# SPDX-License-Identifier: LGPL-2.1-or-later

# What the tests of the ABI share beyond tests/build/common.sh: the system's
# libnbd, which is only given to tools and never read.

. "$srcdir/tests/build/common.sh"

# Nothing but what a test says is searched for headers.
unset CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LIBRARY_PATH

include=$(dirname "$(generated include/libnbd.h)")
list=$(generated tests/abi/symbols.list)
functions=$srcdir/tests/abi/functions.list
library=$builddir/lib/.libs/libnbd.so.0

need_shared_library ()
{
  test -f "$library" || skip_all "there is no shared library"
}

# Set system_library to the one that programs would be run with.
find_system_library ()
{
  system_library=$($CC -print-file-name=libnbd.so.0)
  test -e "$system_library"
}

need_system_library ()
{
  find_system_library ||
    skip_all "the system's libnbd.so.0 is not installed"
}

# Set system_include to the folder of the header that the compiler finds
# without being told where.
find_system_header ()
{
  system_include=$(echo '#include <libnbd.h>' | $CC -x c -E - 2> /dev/null |
    sed -n 's/^# 1 "\(.*\)\/libnbd\.h".*/\1/p' | head -n 1)
  test -n "$system_include"
}

need_system_header ()
{
  find_system_header || skip_all "the system's libnbd.h is not installed"
}

# The functions of a library.
exported_functions ()
{
  nm -D --defined-only "$1" | sed -n 's/.* T \(nbd_[a-z0-9_]*\).*/\1/p' | sort
}
