package client_test

import (
	"errors"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/harmont-dev/harmont-billing/client"
)

// An answer with a code is, by errors.Is, the error of that code and of no other.
func TestEveryCodeIsAnError(t *testing.T) {
	generated, err := os.ReadFile("errors.gen.go")
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, match := range regexp.MustCompile(`Code\w+ +Code = "(\w+)"`).FindAllStringSubmatch(string(generated), -1) {
		codes = append(codes, match[1])
	}
	if len(codes) < 20 {
		t.Fatalf("errors.gen.go has the codes %q", codes)
	}
	for _, code := range codes {
		c := (&scriptedTransport{steps: []http.RoundTripper{answers(400, `{"error":{"type":"x","code":"`+code+`","message":"","doc_url":"","request_id":""}}`)}}).client(t)
		_, err := c.GetBillingBalance(t.Context(), "acme")
		for _, other := range codes {
			if errors.Is(err, client.CodeError(other)) != (other == code) {
				t.Errorf("the code %s is the error of %s: %t", code, other, other != code)
			}
		}
	}
	// A proxy's 404 does not say that an organization is missing.
	_, err = (&scriptedTransport{steps: []http.RoundTripper{answersStatus(404)}}).client(t).GetBillingBalance(t.Context(), "acme")
	for _, code := range codes {
		if errors.Is(err, client.CodeError(code)) {
			t.Errorf("a foreign 404 is %s", code)
		}
	}
	if !errors.Is(client.CodeError("lease_conflict"), client.ErrLeaseConflict) {
		t.Error("the generated errors are not those of their codes")
	}
}
