package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A document that code cannot follow is refused, and the error names the place to continue.
func TestRefusals(t *testing.T) {
	text, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const transaction = "      operationId: getBillingTransaction\n"
	const mapValue = "      additionalProperties:\n        type: string\n"
	tests := []struct {
		name     string
		old, new string // the first old after the operation getBillingTransaction, or after the start where atStart is set
		atStart  bool
		want     string
	}{
		{"a code that no operation declares", "x-errors:\n", "x-errors:\n  coffee_cold:\n    status: 409\n    type: conflict\n    what: It is cold.\n    fix: [Wait for the next pot.]\n", true,
			"x-errors.coffee_cold: no operation declares this code"},
		{"an operation with an unknown code", "        - rate_limited\n", "        - rate_limited\n        - coffee_cold\n", false,
			"getBillingTransaction: declares the code coffee_cold, which x-errors does not have"},
		{"a code that an operation can answer with and does not declare", "        - rate_limited\n", "", false,
			"getBillingTransaction: can answer with rate_limited, which x-error-codes does not declare"},
		{"a parameter whose code the operation does not declare", "        - transaction_not_found\n", "", false,
			`getBillingTransaction: the parameter id needs an x-error-code that is among the x-error-codes of the operation; it has "transaction_not_found"`},
		{"a code without its status", "        - transaction_not_found\n", "        - transaction_not_found\n        - idempotency_key_reused\n", false,
			"getBillingTransaction: declares the code idempotency_key_reused, but not the status 409"},
		{"another status of a code", "    status: 404\n", "    status: 418\n", true, "but not the status 418"},
		{"a status that is no error", "    status: 404\n", "    status: 204\n", true, "the status 204 is no error"},
		{"a type of its own", "    type: not_found\n", "    type: lost\n", true, `the type "lost" is not in ErrorType`},
		{"an error that nobody can fix", "    what: 'The request could not be read: its path, query or body is malformed.'\n", "", true,
			"x-errors.bad_request: says not what happened"},
		{"a parameter without its code", "          x-error-code: transaction_not_found\n", "", false,
			`getBillingTransaction: the parameter id needs an x-error-code that is among the x-error-codes of the operation; it has ""`},
		{"a parameter in a reference", "        - name: id\n          in: path\n", "        - $ref: '#/components/parameters/ID'\n        - name: id\n          in: path\n", false,
			"getBillingTransaction: a parameter is a $ref"},
		{"no role", "      x-required-role: read\n", "", false, "getBillingTransaction: x-required-role is missing"},
		{"no name", transaction, "", true, "has no operationId"},
		{"an answer without a name", "              schema: { $ref: '#/components/schemas/TransactionDetail' }\n", "              schema: { type: object }\n", false,
			"getBillingTransaction: the answer 200 must be application/json with a named schema"},
		{"a required key that is no property", "      required: [id, amount_cents, source, description, author, created_at, balance_after_cents, lease, cost, rate_card]\n",
			"      required: [id, amount_cents, source, description, author, created_at, balance_after_cents, lease, cost, rate_card, team]\n", true, "TransactionDetail: team is required, and no property"},
		{"a later property that may not be null", "          x-since: '0.2.0'\n          type: string\n          nullable: true\n", "          x-since: '0.2.0'\n          type: string\n", true,
			"TransactionDetail.author: x-since is for a required property that may be null"},
		{"a later property that is optional", "description, author, created_at, balance_after_cents, lease", "description, created_at, balance_after_cents, lease", true,
			"TransactionDetail.author: x-since is for a required property that may be null"},
		{"a map of integers", mapValue, "      additionalProperties:\n        type: integer\n        format: int64\n", true, "Labels: maps of other values than strings"},
		{"a map of times", mapValue, mapValue + "        format: date-time\n", true, "Labels: maps of other values than strings"},
		{"a map of values that may be null", mapValue, mapValue + "        nullable: true\n", true, "Labels: maps of other values than strings"},
		{"a map with a property", mapValue, "      properties: { team: { type: string } }\n" + mapValue, true, "Labels: maps of other values than strings, and maps with properties"},
		{"a map that must have a key", mapValue, "      minProperties: 1\n" + mapValue, true, "Labels: minProperties"},
		{"a map without a name", "            - $ref: '#/components/schemas/Labels'\n", "            - { type: object, additionalProperties: { type: string } }\n", true, "LeaseRecord.labels: oneOf, anyOf, allOf and not"},
		{"a rule for keys of what is no map", "      required: [leases]\n", "      required: [leases]\n      x-key-max-length: 5\n", true, "RecordLeasesRequest: x-key-pattern and x-key-max-length of what is no map"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before, after := "", string(text)
			if !test.atStart {
				at := strings.Index(after, transaction)
				before, after = after[:at], after[at:]
			}
			changed := strings.Replace(after, test.old, test.new, 1)
			if changed == after {
				t.Fatalf("openapi.yaml does not contain %q", test.old)
			}
			if strings.Contains(test.new, "#/components/parameters/") {
				changed = strings.Replace(changed, "\ncomponents:\n", "\ncomponents:\n  parameters:\n    ID:\n      name: other\n      in: query\n      schema: { type: string }\n", 1)
			}
			path := filepath.Join(t.TempDir(), "openapi.yaml")
			if err := os.WriteFile(path, []byte(before+changed), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := load(path); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is\n%v\nand should contain %q", err, test.want)
			}
		})
	}
	if _, err := load("../../openapi.yaml"); err != nil {
		t.Errorf("openapi.yaml itself is refused: %v", err)
	}
}
