package httpapi

import (
	"iter"
	"net/http"
	"time"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/wire"
)

// BreakdownRow is one job of a breakdown.
type BreakdownRow struct {
	// Build is the build that begins with this row, and nil if the row belongs to the build of the row before. Its JobCount and its sums
	// cover all of its rows; its Jobs are not read.
	Build *gen.UsageBreakdownBuild
	// Job is the job.
	Job *gen.UsageBreakdownJob
}

// StreamBreakdown returns the answer of getBillingUsageBreakdown, which is written as its rows arrive, so that an answer of any length
// takes the same memory. The rows come build by build, and each of them may be overwritten once the next one is asked for. If they end with an error,
// the answer is an error as long as nothing was sent, and is cut off after that.
func StreamBreakdown(rows iter.Seq2[*BreakdownRow, error]) Streamed {
	return breakdownStream{rows: rows, stall: streamStall}
}

// breakdownStream writes the builds as their rows arrive.
type breakdownStream struct {
	rows  iter.Seq2[*BreakdownRow, error]
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

// Write returns an error as long as nothing was sent. After that it can only cut the answer off, so that it is not taken for a complete
// one.
func (s breakdownStream) Write(w http.ResponseWriter) error {
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
	builds := 0
	for row, err := range s.rows {
		if err != nil {
			if sent {
				panic(cutOff{err})
			}
			return err
		}
		switch {
		case row.Build == nil:
			buf = append(buf, ',')
		case builds > 0:
			buf = append(httpserver.AppendUsageBreakdownBuildAfterJobs(buf, nil), ',')
			fallthrough
		default:
			builds++
			buf = httpserver.AppendUsageBreakdownBuildUpToJobs(buf, row.Build)
		}
		buf = httpserver.AppendUsageBreakdownJob(buf, row.Job)
		if len(buf) >= streamChunk {
			if err := send(); err != nil {
				panic(cutOff{err})
			}
		}
	}
	if builds > 0 {
		buf = httpserver.AppendUsageBreakdownBuildAfterJobs(buf, nil)
	}
	buf = httpserver.AppendUsageBreakdownResponseAfterData(buf, nil)
	if err := send(); err != nil {
		panic(cutOff{err})
	}
	return nil
}
