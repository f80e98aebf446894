package billing

import (
	"errors"
	"strings"
	"testing"
)

func TestOrganizationValidate(t *testing.T) {
	for _, slug := range []string{"a", "A", "0", "acme", "Acme-Inc._2", strings.Repeat("a", 100)} {
		if err := (Organization{Slug: slug, Name: "Acme"}).Validate(); err != nil {
			t.Errorf("the slug %q: %v", slug, err)
		}
	}
	for _, slug := range []string{
		"", "-a", ".", "..", "_a", "a b", "a/b", "a?b", "a%", "é", "a\n", "a\x00", strings.Repeat("a", 101),
	} {
		if err := (Organization{Slug: slug, Name: "Acme"}).Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("the slug %q: %v; want ErrInvalid", slug, err)
		}
	}
	for _, name := range []string{"", strings.Repeat("é", 256), "a\x00b", "\xff"} {
		if err := (Organization{Slug: "acme", Name: name}).Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("the name %q: %v; want ErrInvalid", name, err)
		}
	}
	if err := (Organization{Slug: "acme", Name: strings.Repeat("é", 255)}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestTokenValidate(t *testing.T) {
	for _, c := range []struct {
		name  string
		token Token
		valid bool
	}{
		{"a token", Token{Name: "ci", Role: RoleRead, Organizations: []string{"b", "a"}}, true},
		{"no organization", Token{Name: "ci", Role: RoleRead}, false},
		{"an organization twice", Token{Name: "ci", Role: RoleRead, Organizations: []string{"a", "b", "a"}}, false},
		{"no role", Token{Name: "ci", Organizations: []string{"a"}}, false},
		{"another role", Token{Name: "ci", Role: "root", Organizations: []string{"a"}}, false},
		{"no name", Token{Role: RoleAdmin, Organizations: []string{"a"}}, false},
	} {
		organizations := strings.Join(c.token.Organizations, " ")
		if err := c.token.Validate(); c.valid != (err == nil) || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", c.name, err)
		}
		if now := strings.Join(c.token.Organizations, " "); now != organizations {
			t.Errorf("%s: the organizations %q have become %q", c.name, organizations, now)
		}
	}
}

func TestRoleIncludes(t *testing.T) {
	all := []Role{RoleRead, RoleWrite, RoleAdmin}
	for has, r := range all {
		for needed, n := range all {
			if r.Includes(n) != (has >= needed) {
				t.Errorf("%s includes %s: %t", r, n, r.Includes(n))
			}
		}
	}
	if Role("root").Includes(RoleRead) || Role("").Includes(RoleRead) {
		t.Error("a role that does not exist includes reading")
	}
}

func TestGrantValid(t *testing.T) {
	for _, c := range []struct {
		name  string
		grant Grant
		valid bool
	}{
		{"for ever", Grant{}, true},
		{"for another microsecond", Grant{ExpiresAt: new(Time(101))}, true},
		{"expired now", Grant{ExpiresAt: new(Time(100))}, false},
		{"revoked", Grant{RevokedAt: new(Time(1))}, false},
		{"revoked, by a clock that is ahead", Grant{RevokedAt: new(Time(1000)), ExpiresAt: new(Time(2000))}, false},
	} {
		if c.grant.valid(100) != c.valid {
			t.Errorf("%s: valid is %t", c.name, !c.valid)
		}
	}
}
