/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The linker's version script and the list of exported symbols: each function
 * is in the node of the version that it first appeared in.
 */

#include "emit.h"

static bool
node_is_used (const struct api *api, int since)
{
  for (size_t i = 0; i < api->nr_functions; i++)
    if (api->functions[i].since == since)
      return true;
  return false;
}

void
emit_symbol_map (struct output *o, const struct api *api)
{
  int before = -1;

  out (o, "# Generated from the API table.\n");
  for (int since = 0; since <= api->release; since += 2) {
    if (!node_is_used (api, since))
      continue;
    out (o, "\nLIBNBD_1.%d {\n  global:\n", since);
    for (size_t i = 0; i < api->nr_functions; i++)
      if (api->functions[i].since == since)
        out (o, "    nbd_%s;\n", api->functions[i].name);
    if (before < 0)
      out (o, "  local:\n    *;\n};\n");
    else
      out (o, "} LIBNBD_1.%d;\n", before);
    before = since;
  }
}

void
emit_symbol_list (struct output *o, const struct api *api)
{
  for (size_t i = 0; i < api->nr_functions; i++)
    out (o, "nbd_%s LIBNBD_1.%d\n", api->functions[i].name,
         api->functions[i].since);
}
