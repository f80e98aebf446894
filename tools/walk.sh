#!/usr/bin/env bash
# Takes the walk that CONTRIBUTING.md describes, on a copy of the tree: adds a GET with a parameter and an error code of its
# own, and a property of an answer. It checks that what is forgotten on the way is named, counts the files that are written by
# hand, and asks the running server for what was added.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$(mktemp -d)
server=
stop_server() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" || true
    server=
  fi
}
trap 'stop_server; rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 tar -cf - | tar -xf - -C "$copy"
cd "$copy"
git init -q .
git add -A
git -c user.name=walk -c user.email=walk@localhost commit -qm 'Before the walk'

fail() { echo "walk: $*" >&2; exit 1; }
# must_fail NAME TEXT COMMAND…: the command fails, and its output names what is missing.
must_fail() {
  local name=$1 text=$2
  shift 2
  if "$@" >"$copy/walk.log" 2>&1; then
    fail "$name: nothing asked for it"
  fi
  grep -q "$text" "$copy/walk.log" || { cat "$copy/walk.log"; fail "$name: the output does not say $text"; }
  echo "walk: $name is asked for: $(grep -m 1 "$text" "$copy/walk.log")"
}
# insert FILE BEFORE: inserts standard input before the first line that is BEFORE.
insert() {
  awk -v before="$2" -v text="$(cat)" '!done && $0 == before { print text; done = 1 } { print } END { exit !done }' "$1" >"$copy/inserted" ||
    fail "$1 has no line: $2"
  mv "$copy/inserted" "$1"
}

echo 'walk: the contract gets an operation with a parameter, an error code, and a property of an answer'
insert openapi.yaml '  /api/v0/organizations:' <<'YAML'
  /api/v0/billing/walk/{org}:
    get:
      operationId: getBillingWalk
      tags: [billing]
      summary: Walk some steps
      description: The steps, in cents.
      x-required-role: read
      x-error-codes: [bad_request, unauthorized, organization_not_found, steps_invalid, rate_limited, internal, unavailable]
      parameters:
        - name: org
          in: path
          required: true
          description: The organization's slug, case-sensitive.
          schema: { type: string }
          example: acme
        - name: steps
          in: query
          required: true
          description: How many steps to walk, 1 to 10.
          x-error-code: steps_invalid
          schema: { type: integer, format: int64, minimum: 1, maximum: 10 }
          example: 3
      responses:
        '200':
          description: The steps.
          headers: { x-request-id: { $ref: '#/components/headers/RequestID' } }
          content:
            application/json:
              schema: { $ref: '#/components/schemas/BalanceResponse' }
              example: { balance_cents: 3 }
        '400': { $ref: '#/components/responses/BadRequest' }
        '401': { $ref: '#/components/responses/Unauthorized' }
        '404': { $ref: '#/components/responses/NotFound' }
        '422': { $ref: '#/components/responses/ValidationFailed' }
        '429': { $ref: '#/components/responses/RateLimited' }
        '500': { $ref: '#/components/responses/Internal' }
        '503': { $ref: '#/components/responses/Unavailable' }
        default: { $ref: '#/components/responses/Unexpected' }

YAML
must_fail 'the error code' 'getBillingWalk: declares the code steps_invalid, which x-errors does not have' go generate .
insert openapi.yaml '  lease_invalid:' <<'YAML'
  steps_invalid:
    status: 422
    type: validation_failed
    what: The number of steps is not one that can be walked.
    fix:
      - Send `steps` as a whole number from 1 to 10.
YAML
insert openapi.yaml '    TransactionSource:' <<'YAML'
        team:
          type: string
          description: The team that the entry is charged to; left out where none is known.

YAML
go generate .

must_fail 'the method of the adapter' 'missing method GetBillingWalk' go build ./server
cat >>server/adapter.go <<'GO'

func (a *adapter) GetBillingWalk(_ context.Context, _ string, params gen.GetBillingWalkParams) (gen.BalanceResponse, error) {
	return gen.BalanceResponse{BalanceCents: params.Steps}, nil
}
GO
must_fail 'the property in the adapter' 'gen.Transaction without saying its Team' go test -count=1 -run TestAdaptersNameEveryField .
sed -i 's/^\t\tCreatedAt: e.CreatedAt.Std(),$/&\n\t\tTeam: new("blue"),/' server/convert.go
must_fail 'the method of the client' 'no method GetBillingWalk' go test -count=1 -run TestEveryOperationHasAMethod ./internal/clienttest
cat >>client/operations.go <<'GO'

// GetBillingWalk walks some steps, 1 to 10.
func (c *Client) GetBillingWalk(ctx context.Context, org string, steps int64, opts ...Option) (*BalanceResponse, error) {
	req, err := newGetBillingWalkRequest(c.baseURL, org, &getBillingWalkParams{Steps: steps})
	return do[BalanceResponse](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}
GO
must_fail 'the example of the client' 'no func ExampleClient_GetBillingWalk' go test -count=1 -run TestEveryOperationHasAnExample ./internal/clienttest
cat >>client/example_test.go <<'GO'

func ExampleClient_GetBillingWalk() {
	c, stop := startBilling()
	defer stop()
	walked, err := c.GetBillingWalk(context.Background(), "acme", 3)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(walked.BalanceCents)
	// Output:
	// 3
}
GO

echo 'walk: the tests of the contract, and the calls that it made known'
go test -count=1 .
go test -count=1 -run 'EveryOperation|EveryCode|Example' ./client ./internal/clienttest
go test -count=1 -run 'TestEveryReadAnswers|TestErrors' ./server

by_hand=$(git status --porcelain --untracked-files=all | awk '{ print $2 }' | grep -vE '\.gen(_test)?\.go$|^docs/api\.md$|^walk\.log$')
echo "walk: written by hand: $(echo "$by_hand" | tr '\n' ' ')"
operation=$(echo "$by_hand" | grep -cvE '^server/convert\.go$')
[ "$operation" -le 4 ] || fail "the operation took $operation files, more than 4"
git diff --quiet HEAD -- docs/api.md && fail 'docs/api.md does not follow'
grep -q '^## getBillingWalk$' docs/api.md || fail 'docs/api.md does not have the operation'

echo 'walk: the server'
CGO_ENABLED=0 go build -trimpath -o bin/harmont-billing ./cmd/harmont-billing
database=sqlite:$copy/walk.db
bin/harmont-billing org create acme --database "$database"
token=$(bin/harmont-billing token create --database "$database" --name walk --role read --org acme)
echo '{"type":"credit","org":"acme","amount_cents":5,"source":"refund","description":null,"idempotency_key":"k"}' |
  bin/harmont-billing import --database "$database" -
bin/harmont-billing serve --database "$database" --listen 127.0.0.1:0 >"$copy/server.log" 2>&1 &
server=$!
address=
for _ in $(seq 100); do
  address=$(sed -n 's/.*msg=serving address=\([^ ]*\).*/\1/p' "$copy/server.log")
  [ -n "$address" ] && break
  sleep 0.1
done
[ -n "$address" ] || fail "the server does not serve: $(cat "$copy/server.log")"
ask() { # WANT PATH: the answer to a GET contains a text.
  local got
  got=$(curl -s -H "@$copy/header" "$address$2")
  case $got in *"$1"*) ;; *) fail "GET $2 is answered with $got, without $1" ;; esac
}
(umask 077 && echo "Authorization: Bearer $token" >"$copy/header")
ask '{"balance_cents":7}' '/api/v0/billing/walk/acme?steps=7'
ask '"code":"steps_invalid","message":"steps: must be 1 to 10"' '/api/v0/billing/walk/acme?steps=11'
ask '"code":"steps_invalid","message":"steps: is required"' /api/v0/billing/walk/acme
ask '"team":"blue"' /api/v0/billing/transactions/acme
ask 'from 1 to 10' /docs/errors/steps_invalid
ask getBillingWalk /openapi.json
stop_server
echo 'walk: the server does what the contract says.'
