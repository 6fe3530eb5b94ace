/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-schema.c - JSON Schema (draft 2020-12) of the file, made from the targets' descriptors,
 * so that an editor can complete and check what somebody writes.
 */
#include "json.h"
#include "yaml-impl.h"

static void put_args(struct ndm_str *json, const struct ndm_arg *list);

static void put_choices(struct ndm_str *json, const char *const *choices)
{
	ndm_printf(json, "\"enum\":[");
	for (const char *const *c = choices; c && *c; c++) {
		ndm_printf(json, "%s", c == choices ? "" : ",");
		json_string(json, *c);
	}
	ndm_printf(json, "]");
}

static const struct ndm_arg *first_key(const struct ndm_arg *list)
{
	while (list && list->name && (list->kind == NDM_ARG_CONST || list->kind == NDM_ARG_COUNT))
		list++;
	return list && list->name ? list : NULL;
}

/* What stands behind a feature's word: a mapping, or the first value alone. */
static void put_keyed(struct ndm_str *json, const struct ndm_arg *sub)
{
	ndm_printf(json, "\"anyOf\":[{\"type\":[\"string\",\"number\",\"boolean\"]},{");
	put_args(json, first_key(sub) ? sub : NULL);
	ndm_printf(json, "}]");
}

static void put_features(struct ndm_str *json, const struct ndm_arg *sub)
{
	ndm_printf(json, "\"anyOf\":[{");
	put_args(json, sub);
	ndm_printf(json, "},{\"type\":\"array\",\"items\":{\"anyOf\":[{\"enum\":[");
	for (const struct ndm_arg *f = sub; f && f->name; f++) {
		ndm_printf(json, "%s", f == sub ? "" : ",");
		json_string(json, f->name);
	}
	ndm_printf(json, "]},{");
	put_args(json, sub);
	ndm_printf(json, "}]}}]");
}

static void put_kind(struct ndm_str *json, const struct ndm_arg *arg)
{
	switch (arg->kind) {
	case NDM_ARG_U64:
		ndm_printf(json, "\"type\":[\"integer\",\"string\"],\"pattern\":\"^[0-9]+$\"");
		break;
	case NDM_ARG_SECTORS:
	case NDM_ARG_BYTES:
		ndm_printf(json, "\"$ref\":\"#/$defs/size\"");
		break;
	case NDM_ARG_MS:
	case NDM_ARG_SECONDS:
		ndm_printf(json, "\"$ref\":\"#/$defs/time\"");
		break;
	case NDM_ARG_WORD:
		put_choices(json, arg->choices);
		break;
	case NDM_ARG_FLAG:
		ndm_printf(json, "\"type\":\"boolean\"");
		break;
	case NDM_ARG_LIST:
		ndm_printf(json, "\"type\":\"array\",\"items\":{");
		put_args(json, arg->sub);
		ndm_printf(json, "}");
		break;
	case NDM_ARG_GROUP:
		put_args(json, arg->sub);
		break;
	case NDM_ARG_KEYED:
		put_keyed(json, arg->sub);
		break;
	case NDM_ARG_FEATURES:
		put_features(json, arg->sub);
		break;
	default:
		ndm_printf(json, "\"type\":[\"string\",\"number\"]");
	}
}

static void put_property(struct ndm_str *json, const struct ndm_arg *arg, bool first)
{
	ndm_printf(json, "%s", first ? "" : ",");
	json_string(json, arg->name);
	ndm_printf(json, ":{");
	put_kind(json, arg);
	if (arg->help) {
		ndm_printf(json, ",\"description\":");
		json_string(json, arg->help);
	}
	if (arg->dflt) {
		ndm_printf(json, ",\"default\":");
		json_string(json, arg->dflt);
	}
	ndm_printf(json, "}");
}

static bool is_required(const struct ndm_arg *arg)
{
	return arg->kind != NDM_ARG_CONST && arg->kind != NDM_ARG_COUNT && arg->kind != NDM_ARG_FEATURES &&
	       arg->kind != NDM_ARG_FLAG && arg->kind != NDM_ARG_KEYED && !arg->dflt &&
	       !(arg->flags & NDM_ARG_OPTIONAL);
}

static void put_properties(struct ndm_str *json, const struct ndm_arg *list, bool first)
{
	for (; list && list->name; list++) {
		if (list->kind == NDM_ARG_CONST || list->kind == NDM_ARG_COUNT)
			continue;
		put_property(json, list, first);
		first = false;
	}
}

/* Members of an object schema without its braces. */
static void put_args(struct ndm_str *json, const struct ndm_arg *list)
{
	bool first = true;

	ndm_printf(json, "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
	put_properties(json, list, true);
	ndm_printf(json, "},\"required\":[");
	for (; list && list->name; list++)
		if (is_required(list)) {
			ndm_printf(json, "%s", first ? "" : ",");
			json_string(json, list->name);
			first = false;
		}
	ndm_printf(json, "]");
}

static void put_target(struct ndm_str *json, const struct ndm_target_type *type)
{
	json_string(json, type->name);
	ndm_printf(json, ":{\"description\":");
	json_string(json, type->summary ? type->summary : type->name);
	ndm_printf(json, ",\"anyOf\":[{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
		   "\"length\":{\"$ref\":\"#/$defs/size\"},\"start\":{\"$ref\":\"#/$defs/size\"}");
	put_properties(json, type->args, false);
	ndm_printf(json, "},\"required\":[\"length\"");
	for (const struct ndm_arg *arg = type->args; arg && arg->name; arg++)
		if (is_required(arg)) {
			ndm_printf(json, ",");
			json_string(json, arg->name);
		}
	ndm_printf(json, "]},{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
		   "\"length\":{\"$ref\":\"#/$defs/size\"},\"start\":{\"$ref\":\"#/$defs/size\"},"
		   "\"args\":{\"type\":\"string\",\"description\":\"All arguments as dmsetup takes them.\"}},"
		   "\"required\":[\"length\",\"args\"]}");
	ndm_printf(json, "]}");
}

static void put_targets(struct ndm_str *json)
{
	const struct ndm_target_type *const *types = ndm_target_types();

	for (unsigned i = 0; types[i]; i++) {
		ndm_printf(json, "%s", i ? "," : "");
		put_target(json, types[i]);
	}
}

static const char server_schema[] =
	"\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
	"\"listen\":{\"anyOf\":[{\"$ref\":\"#/$defs/listen\"},"
	"{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/listen\"}}]},"
	"\"tls\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
	"\"mode\":{\"enum\":[\"off\",\"allow\",\"require\"]},\"certificates\":{\"type\":\"string\"},"
	"\"psk\":{\"type\":\"string\"},\"verify_peer\":{\"type\":\"boolean\"}}},"
	"\"control\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},\"metrics\":{\"type\":\"string\"},"
	"\"threads\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":256},\"direct\":{\"type\":\"boolean\"}}";

static const char volume_schema[] =
	"\"uuid\":{\"type\":\"string\",\"maxLength\":128},\"read_only\":{\"type\":\"boolean\"},"
	"\"loop\":{\"type\":\"integer\",\"minimum\":0},"
	"\"export\":{\"anyOf\":[{\"type\":[\"string\",\"boolean\"]},"
	"{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
	"\"name\":{\"type\":\"string\"},\"description\":{\"type\":\"string\"}}}]},"
	"\"table\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"minItems\":1,\"items\":"
	"{\"anyOf\":[{\"type\":\"string\"},{\"$ref\":\"#/$defs/target\"}]}}]}";

void ndm_config_schema(struct ndm_str *json)
{
	ndm_printf(json, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
		   "\"title\":\"ndm volume definitions\",\"type\":\"object\",\"required\":[\"version\"],"
		   "\"additionalProperties\":false,\"patternProperties\":{\"^x-\":{}},\"properties\":{"
		   "\"version\":{\"const\":1},\"server\":{%s},"
		   "\"volumes\":{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"$ref\":\"#/$defs/volume\"}}},",
		   server_schema);
	ndm_printf(json, "\"$defs\":{"
		   "\"size\":{\"type\":[\"integer\",\"string\"],\"pattern\":"
		   "\"^[0-9]+(\\\\.[0-9]+)? *(s|[bB]|[kKmMgGtTpPeE]|[kKMGTPE]i?B)?$\"},"
		   "\"time\":{\"type\":[\"integer\",\"string\"],\"pattern\":\"^[0-9]+(ms|s|min|h)?$\"},"
		   "\"listen\":{\"type\":\"string\",\"pattern\":\"^(unix|tcp):.\"},"
		   "\"target\":{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":1,"
		   "\"additionalProperties\":false,\"properties\":{");
	put_targets(json);
	ndm_printf(json, "}},\"volume\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{%s,",
		   volume_schema);
	put_targets(json);
	ndm_printf(json, "}}}}\n");
}
