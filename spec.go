package harmontbilling

import _ "embed"

// OpenAPI is the API's contract, openapi.yaml, as it was written.
//
//go:embed openapi.yaml
var OpenAPI []byte
