/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "dialogue.h"

const struct dialogue extended_dialogues[] = {
  { 0 }
};
