// Package harmontbilling is the root of the module; run go generate here after a change to openapi.yaml.
package harmontbilling

//go:generate go tool oapi-codegen -config gen/models.yaml openapi.yaml
//go:generate go tool oapi-codegen -config gen/httpclient.yaml openapi.yaml
//go:generate go tool oapi-codegen -config gen/httpserver.yaml openapi.yaml
