package httpapi

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// deadlines is a connection that takes note of its deadlines.
type deadlines struct {
	net.Conn
	write []time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.write = append(d.write, t)
	return nil
}

// A write deadline is never later than it was asked for, and at most a second earlier.
func TestWriteDeadline(t *testing.T) {
	var set deadlines
	conn := serverConn{Conn: &set}
	start := time.Now()
	var want []time.Time
	for _, c := range []struct {
		after time.Duration
		set   bool
	}{
		{time.Minute, true},
		{time.Minute, false},
		{time.Minute + time.Second, false},
		{time.Minute + time.Second + 1, true},
		{time.Minute + time.Second, true}, // earlier
		{30 * time.Second, true},
		{time.Minute, true},
	} {
		if err := conn.SetWriteDeadline(start.Add(c.after)); err != nil {
			t.Fatal(err)
		}
		if c.set {
			want = append(want, start.Add(c.after))
		}
	}
	for _, none := range []time.Time{{}, start} {
		if err := conn.SetWriteDeadline(none); err != nil {
			t.Fatal(err)
		}
		want = append(want, none)
	}
	if !slices.Equal(set.write, want) {
		t.Errorf("the deadlines are %v, not %v", set.write, want)
	}
}

func TestAnswerIsDated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := identified(http.NotFoundHandler())
		for range 3 {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
			if got, want := w.Header().Get("Date"), time.Now().UTC().Format(http.TimeFormat); got != want {
				t.Errorf("the answer has the date %q, not %q", got, want)
			}
			time.Sleep(700 * time.Millisecond) // of the bubble's clock, so that answers fall into the same second and into the next
		}
	})
}
