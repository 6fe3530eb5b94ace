#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""check-json.py SCHEMA [--lines]: standard input is a JSON document (or one a line) that the schema allows."""
import json
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)

with open(sys.argv[1]) as f:
    schema = json.load(f)
jsonschema.Draft7Validator.check_schema(schema)
text = sys.stdin.read()
documents = [x for x in text.split("\n") if x] if "--lines" in sys.argv else [text]
if not documents:
    sys.exit("no document")
for document in documents:
    try:
        jsonschema.Draft7Validator(schema).validate(json.loads(document))
    except (ValueError, jsonschema.ValidationError) as e:
        sys.exit("%s: %s\n%s" % (sys.argv[1], e, document))
