#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The JSON Schema that ndmd prints takes every example, and refuses most of what the reader of
# volume definitions refuses (a schema cannot know of duplicates, circles and sums).
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires python3 -c 'import jsonschema, yaml'
"$NDMD" --schema > schema.json
cat > schema.py <<'END'
import glob, json, sys
import jsonschema, yaml
top = sys.argv[1]
schema = json.load(open("schema.json"))
jsonschema.Draft202012Validator.check_schema(schema)
v = jsonschema.Draft202012Validator(schema)
examples = glob.glob(top + "/contrib/examples/*.yaml")
for name in examples:
    errors = [e.message[:200] for e in v.iter_errors(yaml.safe_load(open(name)))]
    assert not errors, (name, errors)
wrong = refused = 0
text = "".join(l for l in open(top + "/tests/data/yaml-wrong.txt") if not l.startswith("#"))
for case in text.split("=== ")[1:]:
    body = case.split("\n", 1)[1]
    try:
        data = yaml.safe_load(body)
    except yaml.YAMLError:
        continue
    wrong += 1
    refused += not v.is_valid(data)
print("%d examples taken, %d of %d wrong ones refused" % (len(examples), refused, wrong))
assert examples and refused > 0.7 * wrong
END
python3 schema.py "$top_srcdir" || fail "see above"
