package store

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// What was read, or written by the store itself, is answered from memory, as long as nobody else has committed anything.
func TestSQLiteMemo(t *testing.T) {
	file := newFile(t)
	s, other := openFile(t, file), openFile(t, file)
	org := createOrganization(t, s, "acme")
	token := billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"acme"}}
	must(t, s.CreateToken(t.Context(), token))
	must(t, post(t, s, org, "one"))
	wantBalance(t, s, org, 1, 1)
	grant := func(slug string) error { return second(s.Grant(t.Context(), token.Hash, slug)) }
	must(t, grant("acme"))
	must(t, grant("globex"))

	s.reader = broken{} // from here on a read of the database fails
	wantBalance(t, s, org, 1, 1)
	must(t, grant("acme"))
	if err := grant("globex"); err == nil {
		t.Error("it is remembered that an organization does not exist")
	}
	must(t, post(t, s, org, "own"))
	wantBalance(t, s, org, 2, 2)
	must(t, grant("acme"))
	must(t, post(t, other, org, "two"))
	if head, err := s.Head(t.Context(), org); err == nil {
		t.Errorf("after another's commit, the head from memory is %+v", head)
	}
	if err := grant("acme"); err == nil {
		t.Error("after another's commit, what a token gives is answered from memory")
	}
	must(t, post(t, s, org, "own again"))
	if err := grant("acme"); err == nil {
		t.Error("after another's commit and one's own, what a token gives is answered from memory")
	}
}

// broken fails every read.
type broken struct{}

func (broken) query(context.Context, string, []any, func(*row) error) error {
	return errors.New("there is no database")
}

// The state of the database never looks as it did before, also when the log begins anew.
func TestSQLiteStampsDiffer(t *testing.T) {
	file := newFile(t)
	s := openFile(t, file)
	org := createOrganization(t, s, "acme")
	raw := openRaw(t, file)
	seen := map[stamp]int{}
	for i := range 200 {
		now, ok := s.headStamp()
		if !ok {
			t.Fatal("there is no stamp")
		}
		if before, again := seen[now]; again {
			t.Fatalf("commits %d and %d look the same", before, i)
		}
		seen[now] = i
		if again, _ := s.headStamp(); again != now {
			t.Fatal("the stamp has changed without a commit")
		}
		if i%10 == 0 {
			_, err := raw.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
			must(t, err)
		}
		_, err := raw.Exec(`UPDATE organizations SET name = $1 WHERE org_id = $2`, i, org[:])
		must(t, err)
	}
}

// A store that closes does not take away the locks of another one in its process, by which other processes know that the
// database is in use.
func TestSQLiteLocksOutliveAStore(t *testing.T) {
	file := newFile(t)
	s := openFile(t, file)
	must(t, openFile(t, file).Close())

	// The last process that closes a database takes its log away.
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), childFile+"="+file)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := os.Stat(file + "-shm"); err != nil {
		t.Errorf("another process took it that nobody uses the database: %v", err)
	}
	must(t, post(t, s, billing.ID{1}, "key"))
	wantBalance(t, s, billing.ID{1}, 61, 41-20*12)

	must(t, s.Close())
	mappingsMu.Lock()
	defer mappingsMu.Unlock()
	if m := mappings[file+"-shm"]; m != nil {
		t.Errorf("after the last store has closed, %+v is left", m)
	}
}
