// Command testprogress runs go test with the arguments that it is given and shows how far it has come. It prints the
// result of each package as go test does, a failure as soon as it happens with its package, its test and its output, and
// at least every ten seconds which tests are running. Its exit status is that of go test.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// interval is the longest time without a line.
const interval = 10 * time.Second

func main() {
	status, err := run(os.Stdout, os.Args[1:], interval)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testprogress:", err)
		status = 1
	}
	os.Exit(status)
}

// run runs go test -json with the arguments and returns its exit status.
func run(out io.Writer, args []string, interval time.Duration) (status int, err error) {
	// An interrupt reaches go test as well, since it is in the same process group; this process stays to report the end.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...) //nolint:noctx // go test ends by itself
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	p := newProgress(out, interval)
	if err := p.follow(events); err != nil {
		return 0, err
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// event is one line of go test -json; go doc test2json describes it. Build output has an ImportPath instead of a Package.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
}

// testID names a test; an empty name stands for the package as a whole.
type testID struct{ pkg, test string }

// progress shows the events of one run.
type progress struct {
	mu         sync.Mutex
	ended      bool // the summary was printed
	out        io.Writer
	interval   time.Duration
	startedAt  time.Time
	quietTimer *time.Timer              // fires when no line was printed for the interval
	running    map[testID]time.Time     // when each running test began
	output     map[testID]*bytes.Buffer // the output of each unfinished test
	failures   []testID                 // tests that failed themselves, not only through a subtest
	failed     map[testID]bool          // all tests that failed
	counts     map[string]int           // finished tests by result
	skipped    map[string]int           // skipped tests by reason
	notes      []string                 // lines to repeat at the end
}

func newProgress(out io.Writer, interval time.Duration) *progress {
	p := &progress{
		out: out, interval: interval, startedAt: time.Now(),
		running: map[testID]time.Time{}, output: map[testID]*bytes.Buffer{}, failed: map[testID]bool{}, counts: map[string]int{}, skipped: map[string]int{},
	}
	p.mu.Lock() // the timer may fire before it is assigned
	defer p.mu.Unlock()
	p.quietTimer = time.AfterFunc(interval, p.showRunning)
	return p
}

// follow reads events up to their end and prints a summary.
func (p *progress) follow(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			p.handle(line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	p.summarize()
	return nil
}

// print writes a text and begins a new interval. The caller holds mu.
func (p *progress) print(text string) {
	p.quietTimer.Reset(p.interval)
	_, _ = io.WriteString(p.out, text)
}

func (p *progress) handle(line []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var e event
	if json.Unmarshal(line, &e) != nil {
		p.print(string(line)) // go test prints some errors of its own without JSON
		return
	}
	id := testID{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		p.print(e.Output)
	case "run", "cont":
		p.running[id] = time.Now()
	case "pause":
		delete(p.running, id)
	case "output":
		p.collect(id, e.Output)
	case "pass", "skip", "fail":
		p.finish(id, e)
	}
}

// collect keeps the output of a test until its result is known.
func (p *progress) collect(id testID, text string) {
	buffer := p.output[id]
	if buffer == nil {
		buffer = new(bytes.Buffer)
		p.output[id] = buffer
	}
	buffer.WriteString(text)
	if note, found := strings.CutPrefix(text, "NOTE: "); found {
		p.notes = append(p.notes, note)
	}
}

func (p *progress) finish(id testID, e event) {
	delete(p.running, id)
	output := p.output[id]
	delete(p.output, id)
	if id.test == "" {
		if output != nil {
			p.finishPackage(id, output.String(), e.Action)
		}
		return
	}
	p.counts[e.Action]++
	switch e.Action {
	case "fail":
		p.fail(id, output)
	case "skip":
		p.skipped[skipReason(output)]++
	}
}

// fail prints the output of a failed test, without the output of its subtests.
func (p *progress) fail(id testID, output *bytes.Buffer) {
	bySubtest := false
	for other := range p.failed {
		if other.pkg == id.pkg && strings.HasPrefix(other.test, id.test+"/") {
			bySubtest = true
		}
	}
	p.failed[id] = true
	if !bySubtest {
		p.failures = append(p.failures, id)
	}
	p.print(fmt.Sprintf("\nFAIL  %s %s\n%s\n", shortPath(id.pkg), id.test, withoutFrames(output)))
}

// finishPackage prints the closing line of a package. If the package failed, it also prints the output outside of tests.
func (p *progress) finishPackage(id testID, output, action string) {
	lines := strings.SplitAfter(strings.TrimRight(output, "\n"), "\n")
	if last := strings.TrimRight(lines[len(lines)-1], "\n"); action != "fail" {
		if !strings.Contains(last, "[no test files]") {
			p.print(last + "\n")
		}
		return
	}
	// A panic, a data race or a timeout ends tests that then have no result of their own.
	for other := range p.running {
		if other.pkg == id.pkg {
			output = withoutFrames(p.output[other]) + "\n" + output
			p.failures = append(p.failures, other)
			delete(p.running, other)
		}
	}
	p.print(strings.TrimRight(output, "\n") + "\n")
	p.failed[id] = true
}

// showRunning prints which tests run, since nothing else was printed for an interval.
func (p *progress) showRunning() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	var names []string
	for id := range p.running {
		if id.test != "" && !p.hasRunningSubtest(id) {
			names = append(names, shortPath(id.pkg)+" "+id.test)
		}
	}
	slices.Sort(names)
	activity := "building"
	if len(names) > 0 {
		const shown = 3
		activity = "running " + strings.Join(names[:min(shown, len(names))], ", ")
		if len(names) > shown {
			activity += fmt.Sprintf(" and %d more", len(names)-shown)
		}
	}
	p.print(fmt.Sprintf("…     %s: %s\n", p.elapsed(), activity))
}

func (p *progress) hasRunningSubtest(id testID) bool {
	for other := range p.running {
		if other.pkg == id.pkg && strings.HasPrefix(other.test, id.test+"/") {
			return true
		}
	}
	return false
}

func (p *progress) summarize() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.failures) > 0 {
		p.print("\nThese failed:\n")
		for _, id := range p.failures {
			p.print("      " + shortPath(id.pkg) + " " + id.test + "\n")
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(p.skipped)) {
		p.print(fmt.Sprintf("%d skipped: %s\n", p.skipped[reason], reason))
	}
	p.print(strings.Join(p.notes, ""))
	p.print(fmt.Sprintf("\n%d passed, %d failed, %d skipped in %s\n", p.counts["pass"], p.counts["fail"], p.counts["skip"], p.elapsed()))
	p.quietTimer.Stop()
	p.ended = true
}

func (p *progress) elapsed() time.Duration { return time.Since(p.startedAt).Round(time.Second) }

// shortPath leaves out the path of the module.
func shortPath(pkg string) string {
	const module = "github.com/harmont-dev/harmont-billing"
	if relative := strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/"); relative != "" {
		return "./" + relative
	}
	return "."
}

// withoutFrames leaves out the lines by which go test -v frames the output of a test.
func withoutFrames(output *bytes.Buffer) string {
	if output == nil {
		return ""
	}
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(output.String(), "\n"), "\n") {
		if !strings.HasPrefix(line, "=== ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// skipReason is the text of t.Skip.
func skipReason(output *bytes.Buffer) string {
	for line := range strings.SplitSeq(withoutFrames(output), "\n") {
		text := strings.TrimSpace(line)
		if _, reason, found := strings.Cut(text, ": "); found && !strings.HasPrefix(text, "--- ") {
			return reason
		}
	}
	return ""
}
