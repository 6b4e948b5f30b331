/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The golden wrappers include it; they need nothing from it. */
