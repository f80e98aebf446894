package billing

import (
	"regexp"
	"slices"
	"unicode/utf8"
)

// Organization is who is billed.
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

// Role is what a token may do in its organizations. Each role may do all that the one before may.
type Role string

// The roles, lowest first.
const (
	RoleRead  Role = "read"  // every GET
	RoleWrite Role = "write" // and record leases
	RoleAdmin Role = "admin" // and post credits
)

var roles = []Role{RoleRead, RoleWrite, RoleAdmin}

// Includes tells whether a token with this role may do what needs the other.
func (r Role) Includes(needed Role) bool {
	return slices.Index(roles, r) >= slices.Index(roles, needed)
}

// TokenHash is the SHA-256 of a token; the token itself is not kept anywhere.
type TokenHash [32]byte

// Token is what is kept of a bearer token.
type Token struct {
	Hash          TokenHash
	Name          string
	Role          Role
	Organizations []string // slugs
	CreatedAt     Time
	ExpiresAt     *Time // nil: never
	RevokedAt     *Time // nil: not revoked
}

// Validate checks the name, the role and that there is an organization, and none twice.
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

// Grant is what a token gives access to.
type Grant struct {
	Hash         TokenHash
	Role         Role
	ExpiresAt    *Time
	RevokedAt    *Time
	Organization *Organization // the one asked for; nil when it does not exist or the token may not see it
}

// valid tells whether the token counts at the given time.
func (g Grant) valid(now Time) bool {
	return (g.ExpiresAt == nil || now < *g.ExpiresAt) && g.RevokedAt == nil
}
