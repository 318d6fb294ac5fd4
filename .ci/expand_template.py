"""Writes, as JSON, the CloudFormation template that AWS would make from a SAM template.

    python .ci/expand_template.py template.yaml expanded.json

It uses the translator that runs behind `Transform: AWS::Serverless-2016-10-31`, and no network. A linter finds faults in
the expanded template that `sam validate` overlooks in a shorthand: a misspelt event key, a wrong runtime in Globals.
"""

import json
import os
import sys
from pathlib import Path

# The translator derives the partition of ARNs from a region. It sends nothing there.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.model.exceptions import InvalidDocumentException  # noqa: E402
from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402


def main(source: Path, target: Path) -> int:
    template = yaml_parse(source.read_text(encoding="utf-8"))
    # Here, CodeUri is still a folder. `sam package` replaces it by the address of the uploaded code.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    try:
        # The template has no short names of managed policies, so the translator gets an empty list of them.
        expanded = Translator({}, Parser()).translate(template, parameter_values={})
    except InvalidDocumentException as refusal:
        for cause in refusal.causes:
            print(cause.message, file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(expanded, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
