/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.h - the one part of writing JSON that is easily got wrong: strings.
 */
#ifndef NDM_JSON_H
#define NDM_JSON_H

#include <ndm-target.h>

/* With its quotes; bytes that are not UTF-8 become U+FFFD. */
void json_string(struct ndm_str *, const char *);

#endif
