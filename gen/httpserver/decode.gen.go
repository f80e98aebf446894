// Code generated from openapi.yaml by contractgen. DO NOT EDIT.

package httpserver

import (
	"fmt"
	"math"
	"regexp"
	"time"

	"github.com/google/uuid"

	. "github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/wire"
)

// DecodeBody reads the JSON of a request body into a pointer to its type, and checks it. Every error but that of a type
// that is no body's is a *wire.Error.
func DecodeBody(body []byte, into any) error {
	switch into := into.(type) {
	case *RecordLeasesRequest:
		return wire.Decode(body, "body_invalid", into, decodeRecordLeasesRequest)
	case *PostCreditRequest:
		return wire.Decode(body, "body_invalid", into, decodePostCreditRequest)
	case *SetRateCardRequest:
		return wire.Decode(body, "body_invalid", into, decodeSetRateCardRequest)
	}
	return fmt.Errorf("%T is not the type of a body", into)
}

var setRateCardRequestName = &wire.String{MinLength: 1, MaxLength: 255}

var setRateCardRequestCPUCount = &wire.Integer{Minimum: 1, Maximum: 10000}

var setRateCardRequestMemoryGB = &wire.Integer{Minimum: 1, Maximum: 100000}

var setRateCardRequestDiskGB = &wire.Integer{Minimum: 1, Maximum: 10000000}

var setRateCardRequestLabelKey = &wire.String{MinLength: 1, MaxLength: 63, Pattern: regexp.MustCompile("^[A-Za-z0-9][A-Za-z0-9._/-]*$")}

var setRateCardRequestLabelValue = &wire.String{MinLength: 1, MaxLength: 255}

var setRateCardRequestCPUMicrocents = &wire.Integer{Minimum: 0, Maximum: 100000000}

var setRateCardRequestMemoryGBMicrocents = &wire.Integer{Minimum: 0, Maximum: 100000000}

var setRateCardRequestDiskGBMicrocents = &wire.Integer{Minimum: 0, Maximum: 100000000}

var setRateCardRequestRequired = []wire.Required{{Key: "name"}}

func decodeSetRateCardRequest(d *wire.Decoder, v *SetRateCardRequest) error {
	return d.Object("rate_card_invalid", setRateCardRequestRequired, false, func(key []byte) (known bool, err error) {
		switch string(key) {
		case "name":
			return true, wire.Text(d, &v.Name, setRateCardRequestName)
		case "cpu_count":
			return true, wire.Nullable(d, &v.CPUCount, func(into *int64) error { return d.Integer(into, setRateCardRequestCPUCount) })
		case "memory_gb":
			return true, wire.Nullable(d, &v.MemoryGB, func(into *int64) error { return d.Integer(into, setRateCardRequestMemoryGB) })
		case "disk_gb":
			return true, wire.Nullable(d, &v.DiskGB, func(into *int64) error { return d.Integer(into, setRateCardRequestDiskGB) })
		case "label_key":
			return true, wire.Nullable(d, &v.LabelKey, func(into *string) error { return wire.Text(d, into, setRateCardRequestLabelKey) })
		case "label_value":
			return true, wire.Nullable(d, &v.LabelValue, func(into *string) error { return wire.Text(d, into, setRateCardRequestLabelValue) })
		case "cpu_microcents":
			return true, wire.Nullable(d, &v.CPUMicrocents, func(into *int64) error { return d.Integer(into, setRateCardRequestCPUMicrocents) })
		case "memory_gb_microcents":
			return true, wire.Nullable(d, &v.MemoryGBMicrocents, func(into *int64) error { return d.Integer(into, setRateCardRequestMemoryGBMicrocents) })
		case "disk_gb_microcents":
			return true, wire.Nullable(d, &v.DiskGBMicrocents, func(into *int64) error { return d.Integer(into, setRateCardRequestDiskGBMicrocents) })
		case "effective_from":
			return true, wire.Nullable(d, &v.EffectiveFrom, func(into *time.Time) error { return d.Time(into) })
		}
		return false, nil
	})
}

var labelsRule = &wire.StringMap{
	MaxProperties: 16,
	Key:           wire.String{MinLength: 0, MaxLength: 63, Pattern: regexp.MustCompile("^[A-Za-z0-9][A-Za-z0-9._/-]*$")},
	Value:         wire.String{MinLength: 1, MaxLength: 255},
}

func decodeLabels(d *wire.Decoder, v *Labels) error { return wire.Map(d, v, labelsRule) }

var recordLeasesRequestRequired = []wire.Required{{Key: "leases"}}

func decodeRecordLeasesRequest(d *wire.Decoder, v *RecordLeasesRequest) error {
	return d.Object("", recordLeasesRequestRequired, false, func(key []byte) (known bool, err error) {
		switch string(key) {
		case "leases":
			return true, wire.List(d, &v.Leases, 1, 1000, decodeLease)
		}
		return false, nil
	})
}

var leaseJobName = &wire.String{MinLength: 0, MaxLength: 1024}

var leaseStepKey = &wire.String{MinLength: 0, MaxLength: 1024}

var leaseVMHandle = &wire.String{MinLength: 0, MaxLength: 1024}

var leaseBuildNumber = &wire.Integer{Minimum: math.MinInt64, Maximum: math.MaxInt64}

var leasePipelineName = &wire.String{MinLength: 0, MaxLength: 1024}

var leasePipelineSlug = &wire.String{MinLength: 0, MaxLength: 1024}

var leaseAuthor = &wire.String{MinLength: 0, MaxLength: 1024}

var leaseCPUCount = &wire.Integer{Minimum: 1, Maximum: 10000, RecordedMaximum: 1000000000}

var leaseMemoryGB = &wire.Integer{Minimum: 1, Maximum: 100000, RecordedMaximum: 1000000000}

var leaseDiskGB = &wire.Integer{Minimum: 1, Maximum: 10000000, RecordedMaximum: 1000000000}

var leaseDurationSeconds = &wire.Integer{Minimum: 0, Maximum: 31622400}

var leaseRequired = []wire.Required{{Key: "cpu_count"}, {Key: "memory_gb"}, {Key: "disk_gb"}, {Key: "started_at"}}

func decodeLease(d *wire.Decoder, v *Lease) error {
	return d.Object("lease_invalid", leaseRequired, false, func(key []byte) (known bool, err error) {
		switch string(key) {
		case "lease_id":
			return true, wire.Nullable(d, &v.LeaseID, func(into *uuid.UUID) error { return d.UUID(into) })
		case "job_id":
			return true, wire.Nullable(d, &v.JobID, func(into *uuid.UUID) error { return d.UUID(into) })
		case "job_name":
			return true, wire.Nullable(d, &v.JobName, func(into *string) error { return wire.Text(d, into, leaseJobName) })
		case "step_key":
			return true, wire.Nullable(d, &v.StepKey, func(into *string) error { return wire.Text(d, into, leaseStepKey) })
		case "vm_handle":
			return true, wire.Nullable(d, &v.VMHandle, func(into *string) error { return wire.Text(d, into, leaseVMHandle) })
		case "build_id":
			return true, wire.Nullable(d, &v.BuildID, func(into *uuid.UUID) error { return d.UUID(into) })
		case "build_number":
			return true, wire.Nullable(d, &v.BuildNumber, func(into *int64) error { return d.Integer(into, leaseBuildNumber) })
		case "build_external_id":
			return true, wire.Nullable(d, &v.BuildExternalID, func(into *uuid.UUID) error { return d.UUID(into) })
		case "pipeline_id":
			return true, wire.Nullable(d, &v.PipelineID, func(into *uuid.UUID) error { return d.UUID(into) })
		case "pipeline_name":
			return true, wire.Nullable(d, &v.PipelineName, func(into *string) error { return wire.Text(d, into, leasePipelineName) })
		case "pipeline_slug":
			return true, wire.Nullable(d, &v.PipelineSlug, func(into *string) error { return wire.Text(d, into, leasePipelineSlug) })
		case "labels":
			return true, wire.Nullable(d, &v.Labels, func(into *Labels) error { return decodeLabels(d, into) })
		case "author":
			return true, wire.Nullable(d, &v.Author, func(into *string) error { return wire.Text(d, into, leaseAuthor) })
		case "cpu_count":
			return true, d.Integer(&v.CPUCount, leaseCPUCount)
		case "memory_gb":
			return true, d.Integer(&v.MemoryGB, leaseMemoryGB)
		case "disk_gb":
			return true, d.Integer(&v.DiskGB, leaseDiskGB)
		case "started_at":
			return true, d.Time(&v.StartedAt)
		case "finished_at":
			return true, wire.Nullable(d, &v.FinishedAt, func(into *time.Time) error { return d.Time(into) })
		case "duration_seconds":
			return true, wire.Nullable(d, &v.DurationSeconds, func(into *int64) error { return d.Integer(into, leaseDurationSeconds) })
		}
		return false, nil
	})
}

var postCreditRequestAmountCents = &wire.Integer{Minimum: 1, Maximum: 1000000000}

var postCreditRequestSource = &wire.String{MinLength: 0, MaxLength: math.MaxInt, Values: []string{"admin_grant", "refund"}}

var postCreditRequestDescription = &wire.String{MinLength: 0, MaxLength: 1024}

var postCreditRequestRequired = []wire.Required{{Key: "amount_cents", Code: "amount_invalid"}, {Key: "source"}}

func decodePostCreditRequest(d *wire.Decoder, v *PostCreditRequest) error {
	return d.Object("", postCreditRequestRequired, false, func(key []byte) (known bool, err error) {
		switch string(key) {
		case "amount_cents":
			return true, wire.WithCode(d.Integer(&v.AmountCents, postCreditRequestAmountCents), "amount_invalid")
		case "source":
			return true, wire.Text(d, &v.Source, postCreditRequestSource)
		case "description":
			return true, wire.Nullable(d, &v.Description, func(into *string) error { return wire.Text(d, into, postCreditRequestDescription) })
		}
		return false, nil
	})
}
