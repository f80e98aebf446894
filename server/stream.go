package server

import (
	"iter"
	"net/http"
	"time"

	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/wire"
)

// breakdownStream writes the builds as their rows arrive, so that an answer of any length takes the same memory.
type breakdownStream struct {
	rows  iter.Seq2[*billing.BreakdownRow, error]
	stall time.Duration // for how long the receiver may be behind
}

const (
	// streamChunk is about how many bytes are collected before they are sent.
	streamChunk = 32 << 10
	// streamRate is how many bytes a second the receiver must take, before they are compressed, and streamStall is for how long it may
	// be behind.
	streamRate  = 16 << 10
	streamStall = 30 * time.Second
)

// VisitGetBillingUsageBreakdownResponse returns an error as long as nothing was sent. After that it can only cut the
// answer off, so that it is not taken for a complete one.
func (s breakdownStream) VisitGetBillingUsageBreakdownResponse(w http.ResponseWriter) error {
	control := http.NewResponseController(w)
	var buf []byte
	sent, patience := false, s.stall
	send := func() error {
		if !sent {
			wire.SetContentType(w)
			w.WriteHeader(http.StatusOK)
			sent = true
		}
		// A recorder in a test has no deadline to set.
		begun := time.Now()
		_ = control.SetWriteDeadline(begun.Add(patience))
		n, err := w.Write(buf)
		patience = min(patience-time.Since(begun)+time.Duration(n)*time.Second/streamRate, s.stall)
		buf = buf[:0]
		return err
	}

	buf = httpserver.AppendUsageBreakdownResponseUpToData(buf, nil)
	var builds, jobsLeft int64
	var finished time.Time
	for row, err := range s.rows {
		if err != nil {
			if sent {
				panic(cutOff{err})
			}
			return err
		}
		if jobsLeft == 0 {
			if builds++; builds > 1 {
				buf = append(buf, ',')
			}
			build := toAPIBuild(row)
			buf = httpserver.AppendUsageBreakdownBuildUpToJobs(buf, &build)
			jobsLeft = row.Build.Jobs
		} else {
			buf = append(buf, ',')
		}
		job := toAPIJob(&row.Lease, &finished)
		buf = httpserver.AppendUsageBreakdownJob(buf, &job)
		if jobsLeft--; jobsLeft == 0 {
			buf = httpserver.AppendUsageBreakdownBuildAfterJobs(buf, nil)
		}
		if len(buf) >= streamChunk {
			if err := send(); err != nil {
				panic(cutOff{err})
			}
		}
	}
	buf = httpserver.AppendUsageBreakdownResponseAfterData(buf, nil)
	if err := send(); err != nil {
		panic(cutOff{err})
	}
	return nil
}
