/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-schema.c - JSON Schema (draft 2020-12) of the file, made from the targets' descriptors,
 * so that an editor can complete and check what somebody writes.
 *
 * JSON in C is a thicket of backslashes; here it is written with apostrophes, and put() turns
 * them round.  Texts of others go through json_string().
 */
#include "json.h"
#include "yaml-impl.h"

static void put(struct ndm_str *json, const char *fmt, ...) ndm_printf_like(2, 3);
static void put_args(struct ndm_str *json, const struct ndm_arg *list);

static void put(struct ndm_str *json, const char *fmt, ...)
{
	size_t from = json->len;
	va_list ap;

	va_start(ap, fmt);
	ndm_vprintf(json, fmt, ap);
	va_end(ap);
	for (size_t i = from; i < json->len; i++)
		if (json->text[i] == '\'')
			json->text[i] = '"';
}

static void put_choices(struct ndm_str *json, const char *const *choices)
{
	put(json, "'enum':[");
	for (const char *const *c = choices; c && *c; c++) {
		put(json, "%s", c == choices ? "" : ",");
		json_string(json, *c);
	}
	put(json, "]");
}

/* What stands behind a feature's word: a mapping, or the first value alone. */
static void put_keyed(struct ndm_str *json, const struct ndm_arg *sub)
{
	put(json, "'anyOf':[{'type':['string','number','boolean']},{");
	put_args(json, sub);
	put(json, "}]");
}

/* KIND:TEXT, or {KIND: TEXT} */
static void put_named(struct ndm_str *json, const char *const *kinds)
{
	put(json, "'anyOf':[{'type':'string','pattern':'^[a-z]+:.'},"
		  "{'type':'object','additionalProperties':false,'minProperties':1,"
		  "'maxProperties':1,'properties':{");
	for (unsigned i = 0; kinds && kinds[i]; i++) {
		put(json, "%s", i ? "," : "");
		json_string(json, kinds[i]);
		put(json, ":{'$ref':'#/$defs/text'}");
	}
	put(json, "}}]");
}

/* A mapping, or a list of words and mappings. */
static void put_features(struct ndm_str *json, const struct ndm_arg *sub)
{
	put(json, "'anyOf':[{");
	put_args(json, sub);
	put(json, "},{'type':'array','items':{'anyOf':[{'enum':[");
	for (const struct ndm_arg *f = sub; f && f->name; f++) {
		put(json, "%s", f == sub ? "" : ",");
		json_string(json, f->name);
	}
	put(json, "]},{");
	put_args(json, sub);
	put(json, "}]}}]");
}

static void put_kind(struct ndm_str *json, const struct ndm_arg *arg)
{
	switch (arg->kind) {
	case NDM_ARG_U64:
		put(json, "'type':['integer','string'],'minimum':0,'pattern':'^[0-9]+$'");
		break;
	case NDM_ARG_SECTORS:
	case NDM_ARG_BYTES:
		put(json, "'$ref':'#/$defs/size'");
		break;
	case NDM_ARG_MS:
	case NDM_ARG_SECONDS:
		put(json, "'$ref':'#/$defs/time'");
		break;
	case NDM_ARG_WORD:
		put_choices(json, arg->choices);
		break;
	case NDM_ARG_TEXT:
		if (arg->flags & NDM_ARG_COLON)
			put_named(json, arg->choices);
		else
			put(json, "'$ref':'#/$defs/text'");
		break;
	case NDM_ARG_FLAG:
		put(json, "'type':'boolean'");
		break;
	case NDM_ARG_LIST:
		put(json, "'type':'array','minItems':%u,'items':{",
		    arg->flags & NDM_ARG_OPTIONAL ? 0 : 1);
		put_args(json, arg->sub);
		put(json, "}");
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
	case NDM_ARG_DEVICE:
		put(json, "'$ref':'#/$defs/device'");
		break;
	default:
		put(json, "'$ref':'#/$defs/text'");
	}
}

static void put_property(struct ndm_str *json, const struct ndm_arg *arg, bool first)
{
	put(json, "%s", first ? "" : ",");
	json_string(json, arg->name);
	put(json, ":{");
	put_kind(json, arg);
	if (arg->help) {
		put(json, ",'description':");
		json_string(json, arg->help);
	}
	if (arg->dflt) {
		put(json, ",'default':");
		json_string(json, arg->dflt);
	}
	put(json, "}");
}

static bool has_key(const struct ndm_arg *arg)
{
	return arg->kind != NDM_ARG_CONST && arg->kind != NDM_ARG_COUNT;
}

static bool is_required(const struct ndm_arg *arg)
{
	return has_key(arg) && arg->kind != NDM_ARG_FEATURES && arg->kind != NDM_ARG_FLAG &&
	       arg->kind != NDM_ARG_KEYED && !arg->dflt && !(arg->flags & NDM_ARG_OPTIONAL);
}

static void put_properties(struct ndm_str *json, const struct ndm_arg *list, bool first)
{
	for (; list && list->name; list++)
		if (has_key(list)) {
			put_property(json, list, first);
			first = false;
		}
}

static void put_required(struct ndm_str *json, const struct ndm_arg *list, bool first)
{
	for (; list && list->name; list++)
		if (is_required(list)) {
			put(json, "%s", first ? "" : ",");
			json_string(json, list->name);
			first = false;
		}
}

/* Members of an object schema without its braces; within FEATURES nothing is required. */
static void put_args(struct ndm_str *json, const struct ndm_arg *list)
{
	bool features = list && list->name &&
			(list->kind == NDM_ARG_FLAG || list->kind == NDM_ARG_KEYED);

	put(json, "'type':'object','additionalProperties':false,'properties':{");
	put_properties(json, list, true);
	put(json, "},'required':[");
	if (!features)
		put_required(json, list, true);
	put(json, "]");
}

#define SEGMENT_KEYS "'length':{'$ref':'#/$defs/length'},'start':{'$ref':'#/$defs/size'}"

/* Keys that yaml-nest.c takes. */
static const char *own_keys(const struct ndm_target_type *type)
{
	if (!strcmp(type->name, "luks"))
		return ",'secret':{'$ref':'#/$defs/text'},'backing':{'$ref':'#/$defs/device'}";
	if (!strcmp(type->name, "cache"))
		return ",'mode':{'enum':['writeback','writethrough','passthrough']},"
		       "'fast':{'allOf':[{'$ref':'#/$defs/part'}],'required':['file','size']}";
	return "";
}

/* Either the arguments by name, or all of them in one text. */
static void put_target(struct ndm_str *json, const struct ndm_target_type *type)
{
	bool own;

	json_string(json, type->name);
	put(json, ":{'description':");
	json_string(json, type->summary ? type->summary : type->name);
	put(json, ",'anyOf':[{'type':'object','additionalProperties':false,"
		  "'properties':{" SEGMENT_KEYS);
	own = type->features & NDM_TARGET_OWN_SIZE;
	if (!strcmp(type->name, "multipath")) {
		put(json, ",%s},'required':[", yaml_multipath_schema);
	} else {
		put_properties(json, type->args, false);
		put(json, "%s},'required':[%s", own_keys(type), own ? "" : "'length'");
		if (!*own_keys(type))
			put_required(json, type->args, own);
	}
	put(json, "]},{'type':'object','additionalProperties':false,"
		  "'properties':{" SEGMENT_KEYS ","
		  "'args':{'type':'string','description':'All arguments as dmsetup takes them.'}},"
		  "'required':[%s'args']}]}",
	    own ? "" : "'length',");
}

static void put_targets(struct ndm_str *json)
{
	const struct ndm_target_type *const *types = ndm_target_types();

	for (unsigned i = 0; types[i]; i++) {
		put(json, "%s", i ? "," : "");
		put_target(json, types[i]);
	}
}

static const char definitions[] =
	"'text':{'type':['string','number'],'minLength':1},"
	"'size':{'type':['integer','string'],'minimum':0,"
	"'pattern':'^[0-9]+(\\\\.[0-9]+)? *(s|[bB]|[kKmMgGtTpPeE]|[kKMGTPE]i?B)?$'},"
	"'length':{'allOf':[{'$ref':'#/$defs/size'}],'minimum':1},"
	"'time':{'type':['integer','string'],'minimum':0,'pattern':'^[0-9]+(ms|s|min|h)?$'},"
	"'lines':{'type':'string',"
	"'pattern':'(^|\\\\n)[ \\\\t]*[0-9][0-9.a-zA-Z]*[ \\\\t]+([0-9]+[ \\\\t]+)?[a-z]'},"
	"'listen':{'type':'string',"
	"'pattern':'^(unix:.|tcp:(\\\\[[^\\\\]]*\\\\]|[^:\\\\[]*):[0-9]{1,5}$)'},"
	"'part':{'type':'object','additionalProperties':false,'required':['file'],'properties':{"
	"'file':{'$ref':'#/$defs/text'},'size':{'$ref':'#/$defs/size'},"
	"'offset':{'$ref':'#/$defs/size'}}},"
	"'client':{'type':'string','pattern':'^(psk|cn|dn):.'},";

static const char secrets_schema[] =
	"'type':['object','null'],'additionalProperties':{"
	"'anyOf':[{'type':'string','pattern':'^[a-z]+:.'},"
	"{'type':'object','additionalProperties':false,'minProperties':1,'maxProperties':1,"
	"'properties':{'file':{'$ref':'#/$defs/text'},'fd':{'$ref':'#/$defs/text'},"
	"'credential':{'$ref':'#/$defs/text'},'exec':{'$ref':'#/$defs/text'},"
	"'user':{'$ref':'#/$defs/text'}}}]}";

static const char server_schema[] =
	"'type':'object','additionalProperties':false,'properties':{"
	"'listen':{'anyOf':[{'$ref':'#/$defs/listen'},"
	"{'type':'array','minItems':1,'items':{'$ref':'#/$defs/listen'}}]},"
	"'tls':{'type':'object','additionalProperties':false,'properties':{"
	"'mode':{'enum':['off','allow','require']},'certificates':{'$ref':'#/$defs/text'},"
	"'psk':{'$ref':'#/$defs/text'},'verify_peer':{'type':'boolean'}}},"
	"'control':{'$ref':'#/$defs/text'},'state':{'$ref':'#/$defs/text'},"
	"'metrics':{'$ref':'#/$defs/text'},"
	"'threads':{'type':'integer','minimum':1,'maximum':256},'direct':{'type':'boolean'}}";

static const char volume_schema[] =
	"'uuid':{'type':['string','number'],'pattern':'^[-#+.:=@_A-Za-z0-9]{1,128}$'},"
	"'read_only':{'type':'boolean'},'loop':{'type':'integer','minimum':0,'maximum':1023},"
	"'export':{'anyOf':[{'type':['string','boolean']},"
	"{'type':'object','additionalProperties':false,'properties':{"
	"'name':{'$ref':'#/$defs/text'},'description':{'$ref':'#/$defs/text'}}}]},"
	"'allow':{'anyOf':[{'$ref':'#/$defs/client'},"
	"{'type':'array','minItems':1,'items':{'$ref':'#/$defs/client'}}]},"
	"'table':{'anyOf':[{'$ref':'#/$defs/lines'},{'type':'array','minItems':1,"
	"'items':{'anyOf':[{'$ref':'#/$defs/lines'},{'$ref':'#/$defs/target'}]}}]}";

void ndm_config_schema(struct ndm_str *json)
{
	const struct ndm_target_type *const *types = ndm_target_types();

	put(json, "{'$schema':'https://json-schema.org/draft/2020-12/schema',"
		  "'title':'ndm volume definitions','type':'object','required':['version'],"
		  "'additionalProperties':false,'patternProperties':{'^x-':{}},"
		  "'properties':{'version':{'const':1},'server':{%s},'secrets':{%s},"
		  "'volumes':{'type':['object','null'],"
		  "'propertyNames':{'pattern':'^[-#+.:=@_A-Za-z0-9]{1,127}$',"
		  "'not':{'enum':['.','..','control']}},"
		  "'additionalProperties':{'$ref':'#/$defs/volume'}}},",
	    server_schema, secrets_schema);
	put(json, "'$defs':{%s%s'target':{'type':'object','minProperties':1,'maxProperties':1,"
		  "'additionalProperties':false,'properties':{",
	    definitions, yaml_multipath_definitions);
	put_targets(json);
	put(json, "}},'device':{'anyOf':[{'$ref':'#/$defs/text'},{'$ref':'#/$defs/part'},"
		  "{'$ref':'#/$defs/volume'}]},'volume':{'type':'object','additionalProperties':false,'properties':{%s,",
	    volume_schema);
	put_targets(json);
	put(json, "},'oneOf':[{'required':['table']}");
	for (unsigned i = 0; types[i]; i++)
		put(json, ",{'required':['%s']}", types[i]->name);
	put(json, "]}}}\n");
}
