package crashtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

// disk is a small file system of the test's own.
type disk struct {
	t      *testing.T
	folder string
}

// newDisk makes a file system that has room for some bytes, and skips the test where that is not allowed.
func newDisk(t *testing.T, size string) disk {
	t.Helper()
	folder, err := os.MkdirTemp("", "disk") //nolint:usetesting // the path of PostgreSQL's socket must fit into 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(folder) })
	if err := mountMemory(folder, size); err != nil {
		t.Skipf("NOT RUN ON A FULL DISK: a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unmount(folder); err != nil {
			t.Error(err)
		}
	})
	d := disk{t, folder}
	t.Cleanup(d.makeRoom)
	return d
}

func (d disk) ballast() string { return filepath.Join(d.folder, "ballast") }

// fill leaves no room on the disk.
func (d disk) fill() {
	d.t.Helper()
	file, err := os.Create(d.ballast())
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} { // ever smaller pieces fit
		for err == nil {
			_, err = file.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			d.t.Fatal(err)
		}
		err = nil
	}
}

func (d disk) makeRoom() {
	if err := os.Remove(d.ballast()); err != nil && !errors.Is(err, os.ErrNotExist) {
		d.t.Error(err)
	}
}

// starve has clients write until the database has told so many of them that it is full.
func (l *load) starve() {
	l.t.Helper()
	told := l.count().unavailable
	eventually(l.t, "clients that are told", func() bool { return l.count().unavailable >= told+clients })
}

func TestDiskFullSQLite(t *testing.T) {
	testlong.Only(t, "it fills a disk several times")
	inParts(t, func(t *testing.T, rounds int) {
		d := newDisk(t, "128m")
		l := newLoad(t, "sqlite:"+filepath.Join(d.folder, "billing.db"), newRandom(t), "acme", "globex", "initech")
		s := l.serve()
		for range rounds {
			end := l.begin(s)
			l.await(100)
			l.setTroubled(true)
			d.fill()
			l.starve()
			end()
			// Acknowledged requests can be read, and the balance, also from a server that starts now.
			l.check(s)
			s.kill()
			s = l.serve()
			l.check(s)

			end = l.begin(s)
			d.makeRoom()
			eventually(t, "the server to recover", func() bool { return l.count().inARow >= clients })
			l.setTroubled(false)
			l.await(clients)
			end()
			l.check(s)
			verify(t, l.database, l.orgs)
		}
		l.conclude(rounds, s)
	})
}

// A limit on the size of files needs no privilege. The server has to be started again to be given more room.
func TestFileSizeLimitSQLite(t *testing.T) {
	l := newLoad(t, "sqlite:"+filepath.Join(t.TempDir(), "billing.db"), newRandom(t), "acme", "globex", "initech")
	// Depending on the shell, the unit is 512 or 1024 bytes.
	limited := serveWith(t, l.token, "sh", "-c", `ulimit -f 2048 && exec "$0" "$@"`,
		program, "serve", "--database", l.database, "--listen", "127.0.0.1:0")
	l.setTroubled(true)
	end := l.begin(limited)
	l.starve()
	end()
	l.check(limited)
	l.checkRunning(limited)
	limited.kill()

	l.setTroubled(false)
	s := l.serve()
	l.check(s)
	end = l.begin(s)
	l.await(100)
	end()
	l.conclude(1, s)
}

func TestDiskFullPostgreSQL(t *testing.T) {
	testlong.Only(t, "it fills a disk several times")
	inParts(t, func(t *testing.T, rounds int) {
		d := newDisk(t, "256m")
		t.Setenv("TMPDIR", d.folder) // where the cluster is made
		cluster := pgtest.Start(t)
		l := newLoad(t, cluster.URL("postgres"), newRandom(t), "acme", "globex", "initech")
		s := l.serve()
		for round := range rounds {
			end := l.begin(s)
			l.await(100)
			l.setTroubled(true)
			d.fill()
			l.starve()
			if round == rounds-1 { // and in the rounds before, PostgreSQL survives the full disk
				exhaustLog(t, l.database)
			}
			d.makeRoom()
			eventually(t, "PostgreSQL to answer", func() bool { return answers(t, l.database) || cluster.Start() == nil })
			eventually(t, "the server to recover", func() bool { return l.count().inARow >= clients })
			// A connection that has idled since may still be found dead by its next request, which is told so.
			l.await(clients)
			end()
			l.setTroubled(false)
			l.checkRunning(s)
			l.check(s)
			verify(t, l.database, l.orgs)
		}
		l.conclude(rounds, s)
	})
}

func answers(t *testing.T, database string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return pgtest.Connect(t, database).PingContext(ctx) == nil
}

// exhaustLog has PostgreSQL go from one file of its log to the next until there is no room for one, at which it gives up
// altogether.
func exhaustLog(t *testing.T, database string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db := pgtest.Connect(t, database)
	eventually(t, "PostgreSQL to give up", func() bool {
		// Without anything new in it, a file is not left for the next.
		_, err := db.ExecContext(ctx, `SELECT pg_logical_emit_message(false, 'crashtest', ''), pg_switch_wal()`)
		if err != nil {
			t.Log(err)
		}
		return err != nil
	})
}
