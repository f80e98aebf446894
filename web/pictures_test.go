package web_test

import (
	"bytes"
	"flag"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/creack/pty"

	"github.com/harmont-dev/harmont-billing/internal/testbinary"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

var pictures = flag.Bool("pictures", false, "write the pictures of the README anew, and keep what each test showed")

func picturesAsked() bool { return *pictures || testlong.Asked() }

// TestPictures takes the pictures of the README: the page, by day and by night, and the terminal.
func TestPictures(t *testing.T) {
	if !picturesAsked() {
		t.Skip("pictures are taken by make pictures and make test-long")
	}
	s, token := demo(t)
	for name, dark := range map[string]bool{"usage": false, "usage-dark": true} {
		t.Run(name, func(t *testing.T) { // the page is closed at its end, and with it the time zone
			p := open(t, look{width: 1180, height: 1030, dark: dark, zone: "UTC"}).visit(s.url + "/?last=30d#token=" + token).until(loaded)
			p.click("[data-view=resources]").until("document.querySelector('.legend').checkVisibility()")
			p.click("#builds tr[aria-rowindex='4'] .expand").until("document.querySelector('#builds tr.job')")
			p.click("[data-view=cost]")
			p.until("(scrollTo(0, 0), document.activeElement.blur(), scrollY === 0)")
			p.keep(name)
		})
	}
	p := open(t, look{width: 860, height: 560, dark: true})
	p.do(chromedp.Navigate("about:blank"))
	frame := call(p, cdppage.GetFrameTree, struct{}{}).FrameTree.Frame.ID
	call(p, cdppage.SetDocumentContent, cdppage.SetDocumentContentParams{FrameID: frame, HTML: terminal(t, s, token)})
	p.keep("terminal")
}

// keep takes a picture of the visible part of the page.
func (p *tab) keep(name string) {
	p.t.Helper()
	small := smaller(p.t, call(p, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{}).Data)
	folders := []string{screenshots}
	if *pictures {
		folders = append(folders, filepath.Join("..", "docs", "images"))
	}
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+".png"), small, 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}

// smaller encodes a picture with the 256 colors that it has most of.
func smaller(t *testing.T, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	count := map[color.RGBA]int{}
	bounds := full.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			r, g, b, _ := full.At(x, y).RGBA()
			count[color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 255}]++
		}
	}
	var colors []color.RGBA
	for c := range count {
		colors = append(colors, c)
	}
	slices.SortFunc(colors, func(a, b color.RGBA) int { return count[b] - count[a] })
	palette := make(color.Palette, 0, 256)
	for _, c := range colors[:min(256, len(colors))] {
		palette = append(palette, c)
	}
	reduced := image.NewPaletted(bounds, palette)
	draw.Draw(reduced, bounds, full, bounds.Min, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, reduced); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// terminal is a page with a session on the command line.
func terminal(t *testing.T, s *service, token string) string {
	t.Helper()
	binary, err := testbinary.Path()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, args := range []string{"balance acme", "series acme --last 6d", "breakdown acme --last 2d"} {
		cmd := exec.CommandContext(t.Context(), binary, strings.Fields(args)...)
		cmd.Env = append(os.Environ(), "HARMONT_API_URL="+s.url, "HARMONT_TOKEN="+token, "TERM=xterm-256color")
		screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 96})
		if err != nil {
			t.Fatal(err)
		}
		out, _ := io.ReadAll(screen) // ends with an error where the other side has closed
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%s: %v\n%s", args, err, out)
		}
		screen.Close()
		fmt.Fprintf(&text, "\x1b[32m$\x1b[m harmont-billing %s\n%s\n", args, strings.ReplaceAll(string(out), "\r\n", "\n"))
	}
	return `<!doctype html><html lang="en"><title>Terminal</title><style>
		body { margin: 0; background: #0e1116; color: #d7dce4; }
		header { display: flex; gap: 8px; padding: 12px 16px; background: #1e232c; }
		header i { width: 12px; height: 12px; border-radius: 50%; background: #3b4350; }
		pre { margin: 16px; font: 13px/1.45 "DejaVu Sans Mono", monospace; }
		.s1 { font-weight: bold } .s2 { opacity: .65 } .s4 { text-decoration: underline }
		.s31 { color: #ff8a80 } .s32 { color: #5fd69a } .s33 { color: #f0c674 } .s34 { color: #8ab4f8 } .s35 { color: #c79bf2 } .s36 { color: #6bd5e1 } .s90 { color: #8b94a3 }
		</style><header><i></i><i></i><i></i></header><pre>` + styled(text.String()) + `</pre></html>`
}

var escapes = regexp.MustCompile("\x1b\\[([0-9;]*)([A-Za-z])")

// styled makes markup of text for a terminal.
func styled(text string) string {
	var out strings.Builder
	spans := 0
	rest := text
	for {
		at := escapes.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		out.WriteString(html.EscapeString(rest[:at[0]]))
		codes, command := rest[at[2]:at[3]], rest[at[4]:at[5]]
		rest = rest[at[1]:]
		if command != "m" {
			continue
		}
		if codes == "" || codes == "0" {
			out.WriteString(strings.Repeat("</span>", spans))
			spans = 0
			continue
		}
		fmt.Fprintf(&out, `<span class="s%s">`, strings.ReplaceAll(codes, ";", " s"))
		spans++
	}
	return out.String() + html.EscapeString(rest) + strings.Repeat("</span>", spans)
}
