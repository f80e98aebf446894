package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// tracesSentWithin is how long the end of the server waits for a collector to take the last spans.
const tracesSentWithin = 3 * time.Second

// The variables that this program checks by itself. The library reads others, such as OTEL_EXPORTER_OTLP_HEADERS and OTEL_TRACES_SAMPLER.
const (
	endpointVariable       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpointVariable = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	protocolVariable       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	tracesProtocolVariable = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
)

// traces returns where the spans of a server go, or nil if the environment names no collector, and a function that sends the last spans.
func traces(ctx context.Context, logger *slog.Logger) (to trace.TracerProvider, finish func(), err error) {
	variable := tracesEndpointVariable
	if os.Getenv(variable) == "" {
		variable = endpointVariable
	}
	endpoint := os.Getenv(variable)
	if endpoint == "" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, func() {}, nil
	}
	// The value may hold a password, so no error repeats it.
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, nil, usagef("%s must be a URL such as http://127.0.0.1:4318", variable)
	}
	if protocol := cmp.Or(os.Getenv(tracesProtocolVariable), os.Getenv(protocolVariable)); protocol != "" && protocol != "http/protobuf" {
		return nil, nil, usagef("%s and %s may only be http/protobuf, which collectors take at port 4318", tracesProtocolVariable, protocolVariable)
	}
	named, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "harmont-billing"), attribute.String("service.version", version())),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, nil, usagef("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("traces are not sent", "error", err) }))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(named))
	return provider, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesSentWithin)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			logger.Warn("the last traces are not sent", "error", err)
		}
	}, nil
}
