# SPDX-License-Identifier: LGPL-2.1-or-later

# The public header alone, before any other, in every version of C and C++
# that it is written for, with all warnings as errors.

. "${srcdir:=.}/tests/build/common.sh"

check_header "$(dirname "$(generated include/libnbd.h)")"

done_testing
