/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-yaml.c - the reader of volume definitions.  A refusal says why, with a place.
 */
#include <stdlib.h>
#include <string.h>

#include <ndm.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct ndm_config *config = NULL;
	struct ndm_str why = { 0 };

	if (ndm_config_parse("f", (const char *)data, bytes, &config, &why) == 0)
		ndm_config_free(config);
	else if (!why.len || strncmp(why.text, "f:", 2))
		abort();
	ndm_str_free(&why);
	return 0;
}
