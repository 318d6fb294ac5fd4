#!/usr/bin/env bash
# cfn-lint 1.58.0 (PyPI), rule E3034, on a table with OnDemandThroughput.
#
# Expected: MaxReadRequestUnits: -1 is valid. CloudFormation's reference for AWS::DynamoDB::Table OnDemandThroughput names
# this value as the way to remove a maximum that a table has.
# Seen: "-1 is less than the minimum of 1". The same page also says "Minimum: 1", and the schema of the resource, which
# cfn-lint takes its bounds from, has only that. So a template that removes a maximum does not pass the linter.
#   - If the value comes from a parameter with the default -1, the linter warns of the same bound (W1030).
#   - Without the property, the template passes.
# The remedy is a parameter with a minimum of 1 and a high default, as a value that nobody reaches.
set -Eeuo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check cfn-lint==1.58.0
cd "$scratch"

# Writes a template with this line in the table, and prints the ids of the rules that it breaks.
lint() {
    cat >template.yaml <<YAML
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Reads:
    Type: Number
    Default: -1
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    UpdateReplacePolicy: Retain
    DeletionPolicy: Retain
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
      $1
YAML
    "$scratch/venv/bin/cfn-lint" --ignore-checks W2001 --format parseable template.yaml | cut -d: -f6 | sort -u || true
}

expect() {
    printf '%s: %s\n' "$1" "${2:-nothing reported}"
    [[ $2 == "$3" ]] || { echo "expected: ${3:-nothing reported}" >&2; exit 1; }
}

expect "-1 in the table" "$(lint 'OnDemandThroughput: { MaxReadRequestUnits: -1, MaxWriteRequestUnits: 100 }')" E3034
expect "-1 by a parameter" "$(lint 'OnDemandThroughput: { MaxReadRequestUnits: !Ref Reads, MaxWriteRequestUnits: 100 }')" W1030
expect "1 in the table" "$(lint 'OnDemandThroughput: { MaxReadRequestUnits: 1, MaxWriteRequestUnits: 100 }')" ""
expect "without the property" "$(lint 'Tags: []')" ""
