// Package harmontbilling is the root of the module; run go generate here after a change to openapi.yaml.
package harmontbilling

// oapi-codegen is required by tools/go.mod only, so that importers of this module do not inherit its dependencies. That module is not
// part of the workspace.
//
//go:generate go run ./internal/contractgen .
//go:generate env GOWORK=off go tool -modfile=tools/go.mod oapi-codegen -config gen/models.yaml openapi.yaml
//go:generate env GOWORK=off go tool -modfile=tools/go.mod oapi-codegen -config gen/httpserver.yaml openapi.yaml
