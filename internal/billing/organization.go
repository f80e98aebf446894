package billing

import (
	"regexp"
	"slices"
	"unicode/utf8"
)

// Organization is a customer with a ledger of its own.
type Organization struct {
	ID        ID
	Slug      string // the name in paths, case-sensitive, unique
	Name      string // the name for people
	CreatedAt Time
}

var slugForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Validate checks the slug and the name.
func (o Organization) Validate() error {
	if !slugForm.MatchString(o.Slug) {
		return Faultf(ErrInvalid, "the slug %.64q must have 1 to 100 letters, digits, dots, dashes or underscores and begin with a letter or digit", o.Slug)
	}
	return checkName("name", o.Name)
}

// maxName is the length of the longest name of an organization or a token, in characters.
const maxName = 255

func checkName(field, name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName {
		return Faultf(ErrInvalid, "the %s must have 1 to %d characters", field, maxName)
	}
	if err := checkText(field, &name, maxName); err != nil {
		return Faultf(ErrInvalid, "%w", err)
	}
	return nil
}

// Role is the set of calls that a token may make. Each role includes the previous one.
type Role string

// The roles, lowest first.
const (
	RoleRead  Role = "read"  // every GET
	RoleWrite Role = "write" // and record leases
	RoleAdmin Role = "admin" // and post credits
)

var roles = []Role{RoleRead, RoleWrite, RoleAdmin}

// Includes reports whether a token with this role may make calls that need the other role.
func (r Role) Includes(needed Role) bool {
	return slices.Index(roles, r) >= slices.Index(roles, needed)
}

// TokenHash is the SHA-256 of a token; the token itself is not kept anywhere.
type TokenHash [32]byte

// Token describes a bearer token, which itself is not stored.
type Token struct {
	Hash          TokenHash
	Name          string
	Role          Role
	Organizations []string // slugs
	CreatedAt     Time
	ExpiresAt     *Time // nil: never
	RevokedAt     *Time // nil: not revoked
}

// Validate checks the name and the role, and that there are organizations, each only once.
func (t Token) Validate() error {
	if !slices.Contains(roles, t.Role) {
		return Faultf(ErrInvalid, "the role %.64q must be read, write or admin", t.Role)
	}
	if len(t.Organizations) == 0 {
		return Faultf(ErrInvalid, "a token needs at least one organization")
	}
	if len(slices.Compact(slices.Sorted(slices.Values(t.Organizations)))) < len(t.Organizations) {
		return Faultf(ErrInvalid, "a token names each of its organizations once")
	}
	return checkName("name", t.Name)
}

// Grant is the access that a token gives to an organization.
type Grant struct {
	Hash         TokenHash
	Name         string // of the token
	Role         Role
	ExpiresAt    *Time
	RevokedAt    *Time
	Organization *Organization // nil if it does not exist or the token may not see it
}

// valid reports whether the token is accepted at the given time.
func (g Grant) valid(now Time) bool {
	return (g.ExpiresAt == nil || now < *g.ExpiresAt) && g.RevokedAt == nil
}
