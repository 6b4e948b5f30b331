/* SPDX-License-Identifier: LGPL-2.1-or-later */

#ifndef TESTS_FAILING_H
#define TESTS_FAILING_H

/* Counts down to the allocation that fails; 0: none.  Only programs that are
 * linked with failing.c look at it.
 */
extern unsigned failing_allocation;

#endif /* TESTS_FAILING_H */
