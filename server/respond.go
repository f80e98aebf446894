package server

import (
	"iter"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// The answers that callers wait for stand in for the generated ones, which go through reflection and cannot be told how to write
// a timestamp. Each appends itself to a buffer, its keys in the order of the contract.
type (
	balanceResponse     int64 // in cents
	transactionList     billing.Page[billing.Entry]
	usageResponse       billing.Usage
	usageSeriesResponse []billing.DayUsage
	recordedLeaseList   []billing.RecordedLease
	postedCredit        billing.PostCredit
)

func (r balanceResponse) VisitGetBillingBalanceResponse(w http.ResponseWriter) error {
	return write(w, http.StatusOK, func(b []byte) []byte {
		return append(strconv.AppendInt(append(b, `{"balance_cents":`...), int64(r), 10), '}')
	})
}

func (r transactionList) VisitListBillingTransactionsResponse(w http.ResponseWriter) error {
	return write(w, http.StatusOK, func(b []byte) []byte {
		b = appendList(append(b, `{"data":`...), r.Items, appendTransaction)
		return append(appendString(append(b, `,"next_cursor":`...), r.Next), '}')
	})
}

func (r usageResponse) VisitGetBillingUsageResponse(w http.ResponseWriter) error {
	return write(w, http.StatusOK, func(b []byte) []byte {
		return append(appendUsage(append(b, '{'), billing.Usage(r)), '}')
	})
}

func (r usageSeriesResponse) VisitGetBillingUsageSeriesResponse(w http.ResponseWriter) error {
	return write(w, http.StatusOK, func(b []byte) []byte {
		return append(appendList(append(b, `{"data":`...), r, func(b []byte, day *billing.DayUsage) []byte {
			b = append(day.Day.AppendDateTo(append(b, `{"date":"`...)), `",`...)
			return append(appendUsage(b, day.Usage), '}')
		}), '}')
	})
}

func (r recordedLeaseList) VisitRecordLeasesResponse(w http.ResponseWriter) error {
	return write(w, http.StatusOK, func(b []byte) []byte {
		return append(appendList(append(b, `{"data":`...), r, func(b []byte, l *billing.RecordedLease) []byte {
			b = appendID(append(b, `{"lease_id":`...), &l.ID)
			b = append(append(append(b, `,"status":"`...), l.Status...), '"')
			return append(strconv.AppendInt(append(b, `,"amount_cents":`...), l.AmountCents, 10), '}')
		}), '}')
	})
}

func (r *postedCredit) VisitPostCreditResponse(w http.ResponseWriter) error {
	if r.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	return write(w, http.StatusCreated, func(b []byte) []byte { return appendTransaction(b, &r.Entry) })
}

// organizationListResponse is seldom asked for.
type organizationListResponse gen.OrganizationList

func (r organizationListResponse) VisitListOrganizationsResponse(w http.ResponseWriter) error {
	return writeJSON(w, http.StatusOK, r)
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxBuffer is the largest buffer that is kept for the next answer.
const maxBuffer = 256 << 10

// write sends a whole answer with one call.
func write(w http.ResponseWriter, status int, appendTo func([]byte) []byte) error {
	buffer := buffers.Get().(*[]byte) //nolint:errcheck // there is nothing else in it
	*buffer = appendTo((*buffer)[:0])
	err := writeBody(w, status, *buffer)
	if cap(*buffer) <= maxBuffer {
		buffers.Put(buffer)
	}
	return err
}

func appendList[T any](b []byte, items []T, appendItem func([]byte, *T) []byte) []byte {
	b = append(b, '[')
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, &items[i])
	}
	return append(b, ']')
}

func appendTransaction(b []byte, e *billing.Entry) []byte {
	b = appendID(append(b, `{"id":`...), &e.ID)
	b = strconv.AppendInt(append(b, `,"amount_cents":`...), e.AmountCents, 10)
	b = append(append(append(b, `,"source":"`...), e.Source...), '"')
	b = appendString(append(b, `,"description":`...), e.Description)
	b = appendTime(append(b, `,"created_at":`...), &e.CreatedAt)
	return append(b, '}')
}

func appendUsage(b []byte, u billing.Usage) []byte {
	b = strconv.AppendInt(append(b, `"cpu_seconds":`...), u.CPUSeconds, 10)
	b = strconv.AppendInt(append(b, `,"memory_gb_seconds":`...), u.MemoryGBSeconds, 10)
	b = strconv.AppendInt(append(b, `,"disk_gb_seconds":`...), u.DiskGBSeconds, 10)
	return strconv.AppendInt(append(b, `,"total_cents":`...), u.Cents, 10)
}

// breakdownStream writes the builds as their rows arrive, so that an answer of any length takes the same memory.
type breakdownStream struct {
	rows iter.Seq2[*billing.BreakdownRow, error]
}

const (
	// streamChunk is about how many bytes are collected before they are sent.
	streamChunk = 32 << 10
	// streamStall is how long the receiver may take for one chunk.
	streamStall = 30 * time.Second
)

// VisitGetBillingUsageBreakdownResponse returns an error as long as nothing was sent. After that it can only cut the
// answer off, so that it is not taken for a complete one.
func (s breakdownStream) VisitGetBillingUsageBreakdownResponse(w http.ResponseWriter) error {
	control := http.NewResponseController(w)
	var buf []byte
	sent := false
	send := func() error {
		if !sent {
			w.Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
			w.WriteHeader(http.StatusOK)
			sent = true
		}
		// A recorder in a test has no deadline to set.
		_ = control.SetWriteDeadline(time.Now().Add(streamStall))
		_, err := w.Write(buf)
		buf = buf[:0]
		return err
	}

	buf = append(buf, `{"data":[`...)
	var builds, jobsLeft int64
	for row, err := range s.rows {
		if err != nil {
			if sent {
				panic(http.ErrAbortHandler)
			}
			return err
		}
		if jobsLeft == 0 {
			if builds++; builds > 1 {
				buf = append(buf, ',')
			}
			buf = appendBuild(buf, row)
			jobsLeft = row.Build.Jobs
		} else {
			buf = append(buf, ',')
		}
		buf = appendJob(buf, &row.Lease)
		if jobsLeft--; jobsLeft == 0 {
			buf = append(buf, `]}`...)
		}
		if len(buf) >= streamChunk {
			if err := send(); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	}
	buf = append(buf, `]}`...)
	if err := send(); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// appendBuild begins a build and its list of jobs.
func appendBuild(b []byte, row *billing.BreakdownRow) []byte {
	first := &row.Lease
	b = appendID(append(b, `{"build_id":`...), first.BuildID)
	b = appendInt(append(b, `,"build_number":`...), first.BuildNumber)
	b = appendString(append(b, `,"build_external_id":`...), first.BuildExternalID)
	b = appendID(append(b, `,"pipeline_id":`...), first.PipelineID)
	b = appendString(append(b, `,"pipeline_name":`...), first.PipelineName)
	b = appendString(append(b, `,"pipeline_slug":`...), first.PipelineSlug)
	b = strconv.AppendInt(append(b, `,"total_cents":`...), row.Build.Cents, 10)
	b = appendTime(append(b, `,"started_at":`...), &row.Build.StartedAt)
	b = appendTime(append(b, `,"finished_at":`...), row.Build.FinishedAt)
	b = strconv.AppendInt(append(b, `,"job_count":`...), row.Build.Jobs, 10)
	return append(b, `,"jobs":[`...)
}

func appendJob(b []byte, l *billing.Lease) []byte {
	b = appendID(append(b, `{"job_id":`...), l.JobID)
	b = appendString(append(b, `,"job_name":`...), l.JobName)
	b = appendString(append(b, `,"step_key":`...), l.StepKey)
	b = appendString(append(b, `,"vm_handle":`...), l.VMHandle)
	b = strconv.AppendInt(append(b, `,"cpu_count":`...), l.CPUCount, 10)
	b = strconv.AppendInt(append(b, `,"memory_gb":`...), l.MemoryGB, 10)
	b = strconv.AppendInt(append(b, `,"disk_gb":`...), l.DiskGB, 10)
	b = appendInt(append(b, `,"duration_seconds":`...), l.DurationSeconds)
	amount := int64(0) // nothing is owed while it runs
	if l.AmountCents != nil {
		amount = *l.AmountCents
	}
	b = strconv.AppendInt(append(b, `,"amount_cents":`...), amount, 10)
	b = appendTime(append(b, `,"started_at":`...), &l.StartedAt)
	b = appendTime(append(b, `,"finished_at":`...), l.FinishedAt)
	return append(b, '}')
}

func appendNull(b []byte) []byte { return append(b, `null`...) }

func appendID(b []byte, id *billing.ID) []byte {
	if id == nil {
		return appendNull(b)
	}
	return append(id.AppendTo(append(b, '"')), '"')
}

func appendInt(b []byte, n *int64) []byte {
	if n == nil {
		return appendNull(b)
	}
	return strconv.AppendInt(b, *n, 10)
}

func appendTime(b []byte, t *billing.Time) []byte {
	if t == nil {
		return appendNull(b)
	}
	return append(t.AppendTo(append(b, '"')), '"')
}

func appendString(b []byte, s *string) []byte {
	if s == nil {
		return appendNull(b)
	}
	// It fails only on bad UTF-8, which no request gets in, and even then it appends the text with that replaced.
	b, _ = jsontext.AppendQuote(b, *s)
	return b
}
