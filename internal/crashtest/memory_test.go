package crashtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

// largeBody is a report of a thousand valid leases in 15.7 MiB, whose ids begin with the number.
func largeBody(number int) string {
	var b strings.Builder
	b.WriteString(`{"leases":[`)
	text := `"` + strings.Repeat("é", 1000) + `"`
	for i := range 1000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"job_id":"%08x-0000-4000-8000-%012x","job_name":%[3]s,"step_key":%[3]s,"vm_handle":%[3]s,"pipeline_name":%[3]s,"pipeline_slug":%[3]s,`+
			`"cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T10:00:00Z","finished_at":"2026-06-06T10:05:00Z"}`, number, i, text)
	}
	b.WriteString(`]}`)
	const length = 157 << 20 / 10
	return b.String() + strings.Repeat(" ", length-b.Len())
}

// However many large bodies come at the same time, with a token or without, quickly or slowly, the memory of the server is bounded, and
// it is given back afterwards.
func TestMemoryLimit(t *testing.T) {
	const most, afterwards = 300 << 20, 100 << 20
	database := "sqlite:" + t.TempDir() + "/billing.db"
	token := prepare(t, database, []string{"acme"})
	s := serve(t, database, token)
	var sending sync.WaitGroup
	statuses := make(chan int, 1000)
	clients := testlong.Pick(8, 32)
	for i := range clients {
		sending.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v0/billing/leases/acme", strings.NewReader(largeBody(i)))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body)
			statuses <- resp.StatusCode
		})
	}
	sending.Wait()
	counts := map[int]int{}
	for range len(statuses) {
		counts[<-statuses]++
	}
	t.Logf("the answers to bodies with a token are %v", counts)
	if counts[http.StatusOK] == 0 || counts[http.StatusOK]+counts[http.StatusServiceUnavailable] != clients {
		t.Errorf("the answers are %v", counts)
	}

	if testlong.Asked() {
		keepLastByteBack(t, s, token)
	}
	eventually(t, "the memory to be given back", func() bool {
		_, resident, err := held(s.Process.Pid)
		return err == nil && resident < afterwards
	})
	used, err := peak(s.Process.Pid)
	if err != nil || used > most {
		t.Errorf("%d bytes were resident, %v", used, err)
	}
	t.Logf("at most %d MiB were resident", used>>20)
}

// keepLastByteBack sends 64 large bodies without their last byte, half of them with the token, until each has an answer.
func keepLastByteBack(t *testing.T, s *service, token string) {
	t.Helper()
	body := largeBody(0)
	head := fmt.Sprintf("POST /api/v0/billing/leases/acme HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	var slow sync.WaitGroup
	for i := range 64 {
		slow.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			authorization := []string{"", "Authorization: Bearer " + token + "\r\n"}[i%2]
			go func() { _, _ = io.WriteString(conn, head+authorization+"\r\n"+body[:len(body)-1]) }() // the server may not read all of it
			_, _ = conn.Read(make([]byte, 1))
		})
	}
	slow.Wait()
}

// An export in the form of FOCUS needs no more memory for a million rows than for a few.
func TestFocusMemory(t *testing.T) {
	const most, part = 64 << 20, 10_000
	rows := testlong.Pick(part, 1_000_000)
	onEachStore(t, func(t *testing.T, database string) {
		for first := 0; first < rows; first += part {
			var leases strings.Builder
			for i := first; i < first+part; i++ {
				fmt.Fprintf(&leases, `{"org":"acme","lease_id":"01994f00-0000-7000-8000-%012x","job_name":"Unit Tests","vm_handle":"vm-%[1]d","cpu_count":2,"memory_gb":4,`+
					`"disk_gb":20,"started_at":"2026-06-06T10:00:00Z","finished_at":"2026-06-06T10:05:00Z","labels":{"team":"%[1]d"}}`+"\n", i)
			}
			runWith(t, leases.String(), "import", "-", "--database", database)
		}
		export := exec.CommandContext(t.Context(), program, "export", "--focus", "--from", "2026-06-01", "--database", database)
		out, err := export.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := export.Start(); err != nil {
			t.Fatal(err)
		}
		// The rows that are not read yet do not fit into the pipe, so the program still writes.
		const unread = 1_000
		lines, used := bufio.NewScanner(out), int64(0)
		count := 0
		for ; lines.Scan(); count++ {
			if count == rows-unread {
				if used, err = peak(export.Process.Pid); err != nil {
					t.Error(err)
				}
			}
		}
		if err := export.Wait(); err != nil || lines.Err() != nil || count != 1+rows {
			t.Fatalf("%d lines were written for %d leases, %v, %v", count, rows, err, lines.Err())
		}
		if used > most {
			t.Errorf("%d bytes were resident", used)
		}
		t.Logf("at most %d MiB were resident", used>>20)
	})
}
