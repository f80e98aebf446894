package server_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/server"
)

// signer makes and checks tokens USER.ORGANIZATION.SIGNATURE.
type signer struct{ key []byte }

func (s signer) sign(claims string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(claims))
	return claims + "." + hex.EncodeToString(mac.Sum(nil))
}

// authenticate returns the identity that belongs to a token. It is called for each request.
func (s signer) authenticate(_ context.Context, token string) (httpapi.Identity, error) {
	user, org, ok := strings.Cut(token, ".")
	org, _, signed := strings.Cut(org, ".")
	if !ok || !signed || !hmac.Equal([]byte(s.sign(user+"."+org)), []byte(token)) {
		return httpapi.Identity{}, &httpapi.Error{Code: gen.CodeUnauthorized}
	}
	return httpapi.Identity{Subject: user, Role: httpapi.RoleRead, Organizations: []string{org}}, nil
}

// A server takes the tokens of another system, in place of those of its database.
func ExampleConfig_authenticate() {
	dir, err := os.MkdirTemp("", "harmont-billing")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	tokens := signer{key: []byte("the key of the other system")}
	s, err := server.Open(context.Background(), server.Config{
		Database: "sqlite:" + filepath.Join(dir, "billing.db"), Authenticate: tokens.authenticate,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	if _, err := s.CreateOrganization(context.Background(), "acme", "Acme, Inc."); err != nil {
		log.Fatal(err)
	}

	for _, token := range []string{tokens.sign("ann.acme"), tokens.sign("bob.globex"), "ann.acme.forged"} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/api/v0/billing/balance/acme", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 404
	// 401
}
