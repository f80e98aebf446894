// Package pgtest gives tests a real PostgreSQL.
package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // to create and drop databases
)

// urlEnv names a PostgreSQL on which tests may create databases.
const urlEnv = "TEST_DATABASE_URL"

// requiredEnv makes a missing PostgreSQL a failure instead of a skip.
const requiredEnv = "TEST_POSTGRES_REQUIRED"

// reportEnv names a file to which a line is added that says which stores the tests of this process run on.
const reportEnv = "TEST_STORES_REPORT"

var shared struct {
	sync.Mutex
	cluster *Cluster
	err     error
	free    map[bool][]string // databases of the cluster that are used by no test: empty ones, and (true) ones with empty tables
}

// Main runs the tests of a package and stops the cluster that they started, if they did.
func Main(m *testing.M) int {
	defer func() {
		if shared.cluster != nil {
			shared.cluster.remove()
		}
	}()
	return m.Run()
}

// Database returns the URL of an empty database that no other test uses until this one ends. The database is on the server
// of TEST_DATABASE_URL, or on a private cluster which the first call starts from the PostgreSQL programs on this machine;
// where there is neither, the test is skipped. The package's TestMain must run Main.
func Database(t testing.TB) string {
	t.Helper()
	return database(t, false)
}

// WithTables is like Database for a test that does not change the schema. The database may have the tables of an earlier test,
// with nothing in them but the versions of the schema. That saves the processor time of making and dropping them.
func WithTables(t testing.TB) string {
	t.Helper()
	return database(t, true)
}

func database(t testing.TB, tables bool) string {
	t.Helper()
	base, where := os.Getenv(urlEnv), "the server of "+urlEnv
	if base == "" {
		base, where = sharedCluster(t).URL("postgres"), "a private cluster"
	}
	db := Connect(t, base)
	report(t, func() string {
		var version string
		if err := db.QueryRowContext(t.Context(), "SHOW server_version").Scan(&version); err != nil {
			t.Fatal(err)
		}
		version, _, _ = strings.Cut(version, " ")
		return "sqlite, postgresql " + version + " (" + where + ")"
	})
	if os.Getenv(urlEnv) == "" {
		return reused(t, db, base, tables)
	}
	name := create(t, db)
	t.Cleanup(func() { execute(t, db, "DROP DATABASE "+name+" WITH (FORCE)") })
	return withDatabase(t, base, name)
}

// reused returns a database of the private cluster. Creating a database copies several megabytes, so one that an earlier
// test is done with is emptied and used again.
func reused(t testing.TB, db *sql.DB, base string, tables bool) string {
	t.Helper()
	shared.Lock()
	name := ""
	free := shared.free[tables]
	if last := len(free) - 1; last >= 0 {
		name, shared.free[tables] = free[last], free[:last]
	}
	shared.Unlock()
	if name == "" {
		name = create(t, db)
	}
	database := withDatabase(t, base, name)
	t.Cleanup(func() {
		db := Connect(t, database)
		execute(t, db, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		emptied := `DROP SCHEMA public CASCADE; CREATE SCHEMA public`
		if tables {
			emptied = deleteRows
		}
		if execute(t, db, emptied) {
			shared.Lock()
			shared.free[tables] = append(shared.free[tables], name)
			shared.Unlock()
		}
	})
	return database
}

// deleteRows empties all tables but that of the versions. Triggers that refuse it do not fire in the role of a replica.
const deleteRows = `SET session_replication_role = replica;
	DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'goose_db_version' LOOP
			EXECUTE format('DELETE FROM %I', name);
		END LOOP;
	END $$`

func create(t testing.TB, db *sql.DB) (name string) {
	t.Helper()
	name = "test_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return name
}

// Connect opens a pool of connections to the database, which is closed when the test ends.
func Connect(t testing.TB, database string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// execute runs statements in a cleanup and reports whether they succeeded.
func execute(t testing.TB, db *sql.DB, statements string) bool {
	t.Helper()
	_, err := db.ExecContext(context.Background(), statements)
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

func withDatabase(t testing.TB, base, name string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func sharedCluster(t testing.TB) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil && shared.err == nil {
		shared.free = map[bool][]string{}
		shared.cluster, shared.err = newCluster((*Cluster).copyData, NoSync)
	}
	giveUp(t, shared.err)
	return shared.cluster
}

var reported sync.Once

// report says once which stores the tests run on, where somebody wants to know.
func report(t testing.TB, stores func() string) {
	t.Helper()
	name := os.Getenv(reportEnv)
	if name == "" {
		return
	}
	reported.Do(func() {
		file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.WriteString(stores() + "\n")
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
	})
}

func giveUp(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	report(t, func() string {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		return "sqlite, NOT postgresql: " + reason
	})
	if os.Getenv(requiredEnv) != "" {
		t.Fatal(err)
	}
	t.Skipf("NOT RUN ON POSTGRESQL: %v", err)
}

// Cluster is a PostgreSQL server of the test's own, which it may stop and start again.
type Cluster struct {
	bin     string // the folder of PostgreSQL's programs
	folder  string
	kept    bool // whether the folder outlives the server
	port    int
	guard   *exec.Cmd
	ours    io.Closer // the guard ends when it is closed
	options []string  // of the server
}

// NoSync is the option of a server that does not wait for the disk. It is for tests that do not crash the server.
const NoSync = "-c fsync=off"

// Start starts a cluster with the options for one test, and skips the test where there is no PostgreSQL. Its data is a copy, so all
// clusters that Start has started have the same system identifier.
func Start(t testing.TB, options ...string) *Cluster {
	t.Helper()
	return start(t, (*Cluster).copyData, options...)
}

// StartOther is like Start, for a cluster with a system identifier of its own.
func StartOther(t testing.TB, options ...string) *Cluster {
	t.Helper()
	return start(t, (*Cluster).initialize, options...)
}

func start(t testing.TB, fill func(*Cluster) error, options ...string) *Cluster {
	t.Helper()
	c, err := newCluster(fill, options...)
	giveUp(t, err)
	t.Cleanup(c.remove)
	return c
}

// Replica starts a cluster that follows this one and has its options, for one test.
func (c *Cluster) Replica(t testing.TB) *Cluster {
	t.Helper()
	replica, err := newCluster(func(replica *Cluster) error {
		return replica.run("pg_basebackup", "--dbname="+c.URL("postgres"), "--pgdata="+replica.data(),
			"--write-recovery-conf", "--checkpoint=fast", "--no-sync")
	}, c.options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(replica.remove)
	return replica
}

// Keep starts a cluster that keeps its data in the folder for the next call. The folder is made if it does not exist. The caller closes the
// cluster.
func Keep(folder string) (c *Cluster, err error) {
	c = &Cluster{folder: folder, kept: true}
	if c.bin, err = programs(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	err = c.set(func(c *Cluster) error {
		if _, err := os.Stat(c.data()); err == nil {
			return nil
		}
		return c.initialize()
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// newCluster starts a cluster with the options of the server. The function fill makes its data.
func newCluster(fill func(*Cluster) error, options ...string) (c *Cluster, err error) {
	c = &Cluster{options: options}
	if c.bin, err = programs(); err != nil {
		return nil, err
	}
	if c.folder, err = os.MkdirTemp(temporary(), "harmont-billing-postgres-"); err != nil {
		return nil, err
	}
	if err := c.set(fill); err != nil {
		c.remove()
		return nil, err
	}
	return c, nil
}

// temporary returns the folder for clusters that end with a test: one in memory where that has plenty of room, because a file system on a
// disk spends more processor time on the thousand files of a cluster than PostgreSQL does on most tests. The environment variable TMPDIR
// names another one.
func temporary() string {
	const (
		memory = "/dev/shm"
		plenty = 2 << 30 // bytes; a cluster takes 40 MiB at first
	)
	var room syscall.Statfs_t
	if os.Getenv("TMPDIR") == "" && syscall.Statfs(memory, &room) == nil && room.Bavail*uint64(room.Bsize) >= plenty {
		return memory
	}
	return os.TempDir()
}

func (c *Cluster) set(fill func(*Cluster) error) error {
	if owner := owner(); owner != nil {
		if err := os.Chown(c.folder, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	if err := c.watch(); err != nil {
		return err
	}
	if err := fill(c); err != nil {
		return err
	}
	// Another process may take a port that was free.
	const tries = 5
	for try := 1; ; try++ {
		if err := c.pickPort(); err != nil {
			return err
		}
		if err := c.Start(); err == nil || try == tries {
			return err
		}
	}
}

var initdbFlags = []string{"--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync"}

func (c *Cluster) initialize() error {
	return c.run("initdb", append([]string{"--pgdata=" + c.data()}, initdbFlags...)...)
}

// copyData fills the folder of data with a copy of what initdb has made, since initdb takes more processor time than all
// that most tests do with a cluster. The original is in the user's folder for caches, where later runs find it.
func (c *Cluster) copyData() error {
	original, err := c.original()
	if err != nil {
		return c.initialize()
	}
	if _, err := os.Stat(original); err == nil {
		return copyFolder(original, c.data(), owner())
	}
	if err := c.initialize(); err != nil {
		return err
	}
	_ = keepCopy(c.data(), original) // without it, initdb makes the next cluster as well
	return nil
}

// keepCopy copies the folder to a place that another process may fill at the same time.
func keepCopy(folder, place string) error {
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(place), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	made := filepath.Join(temporary, "data")
	if err := copyFolder(folder, made, nil); err != nil {
		return err
	}
	syscall.Sync() // a name must not outlive a crash of the machine that the contents of the files do not
	return os.Rename(made, place)
}

// original is the name of the folder with what initdb makes. The name depends on everything that initdb depends on.
func (c *Cluster) original() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	initdb := filepath.Join(c.bin, "initdb")
	program, err := os.Stat(initdb)
	if err != nil {
		return "", err
	}
	depends := []string{fmt.Sprint(initdb, program.Size(), program.ModTime().UnixNano(), initdbFlags)}
	for _, variable := range slices.Sorted(slices.Values(os.Environ())) {
		if strings.HasPrefix(variable, "LC_") || strings.HasPrefix(variable, "LANG") || strings.HasPrefix(variable, "TZ=") {
			depends = append(depends, variable)
		}
	}
	return filepath.Join(cache, "harmont-billing", fmt.Sprintf("postgres-%x", sha256.Sum256([]byte(strings.Join(depends, "\n"))))), nil
}

// copyFolder copies a folder of files and folders. The copy belongs to the user, or to this process's user where that is nil.
func copyFolder(from, to string, user *syscall.Credential) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		place := to + strings.TrimPrefix(path, from)
		if entry.IsDir() {
			err = os.Mkdir(place, 0o700)
		} else {
			err = copyFile(path, place)
		}
		if err != nil || user == nil {
			return err
		}
		return os.Chown(place, int(user.Uid), int(user.Gid))
	})
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// pickPort finds a free port below the range for outgoing connections, so that the port is still free when the server starts
// again.
func (c *Cluster) pickPort() error {
	for range 100 {
		c.port = 10_000 + mathrand.IntN(20_000)
		if listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))); err == nil {
			return listener.Close()
		}
	}
	return errors.New("no free port")
}

// watch has a shell stop the server and remove its folder, unless it is kept, once this process has gone, however it went: a
// test that runs out of its time cleans up nothing.
func (c *Cluster) watch() error {
	script := `cat; "$1" --pgdata="$2/data" --mode=immediate --wait stop; rm -rf "$2"`
	if c.kept {
		script = `cat; "$1" --pgdata="$2/data" --mode=fast --wait stop`
	}
	c.guard = exec.Command("sh", "-c", script, "sh", filepath.Join(c.bin, "pg_ctl"), c.folder)
	c.guard.Dir = "/"
	// A group of its own, which Ctrl-C on a terminal does not reach.
	c.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: owner()}
	var err error
	if c.ours, err = c.guard.StdinPipe(); err != nil {
		return err
	}
	return c.guard.Start()
}

// Close stops the server.
func (c *Cluster) Close() {
	if c.ours != nil {
		c.ours.Close()
		c.guard.Wait() // it stops a server that may be stopped already
	}
}

// remove stops the server and removes its folder.
func (c *Cluster) remove() {
	c.Close()
	os.RemoveAll(c.folder)
}

func (c *Cluster) data() string { return filepath.Join(c.folder, "data") }

// Pooler starts a pgbouncer that pools transactions of the cluster, for one test, and returns the address of a database behind it. It
// skips the test where there is no pgbouncer.
func (c *Cluster) Pooler(t testing.TB, database string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil && os.Getenv(requiredEnv) != "" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip("NOT RUN BEHIND A POOLER: ", err)
	}
	behind := &Cluster{}
	if err := behind.pickPort(); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(c.folder, "pgbouncer.ini")
	if err := os.WriteFile(settings, fmt.Appendf(nil, `[databases]
* = host=127.0.0.1 port=%d user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
ignore_startup_parameters = extra_float_digits
`, c.port, behind.port), 0o644); err != nil { //nolint:gosec // another user reads it
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--quiet", settings)
	cmd.Dir = c.folder
	if owner := owner(); owner != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(behind.port)))
		if err == nil {
			conn.Close()
			return behind.URL(database)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// URL is the address of a database of the cluster.
func (c *Cluster) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", c.port, database)
}

// Start starts the server and waits until it answers.
func (c *Cluster) Start() error {
	options := append([]string{fmt.Sprintf("-h 127.0.0.1 -p %d -k %s -c max_connections=200 -c wal_retrieve_retry_interval=200ms",
		c.port, c.folder)}, c.options...)
	return c.run("pg_ctl", "--pgdata="+c.data(), "--log="+filepath.Join(c.folder, "log"), "--wait",
		"--options="+strings.Join(options, " "), "start")
}

// Stop stops the server in one of pg_ctl's modes; immediate is like pulling the plug.
func (c *Cluster) Stop(mode string) error {
	return c.run("pg_ctl", "--pgdata="+c.data(), "--wait", "--mode="+mode, "stop")
}

// Program is the path of one of PostgreSQL's programs, of the version that the tests run on.
func Program(t testing.TB, name string) string {
	t.Helper()
	bin, err := programs()
	giveUp(t, err)
	return filepath.Join(bin, name)
}

func (c *Cluster) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(c.bin, program), args...)
	cmd.Dir = c.folder
	if owner := owner(); owner != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	}
	// A server that stays behind must not keep our pipes open, so its output goes to a file.
	output, err := os.CreateTemp(c.folder, program)
	if err != nil {
		return err
	}
	defer os.Remove(output.Name())
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(output.Name())
		return fmt.Errorf("%s: %w: %s", program, err, text)
	}
	return nil
}

// programs finds the newest PostgreSQL on the PATH or in the folder that Debian uses.
func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		// The other programs are in the folder of the file, not in that of a link to it.
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("no PostgreSQL: %s is not set, and initdb is neither on the PATH nor below /usr/lib/postgresql", urlEnv)
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	return filepath.Dir(found[0]), nil
}

// owner is whom PostgreSQL runs as where this process is root, since PostgreSQL refuses to be.
var owner = sync.OnceValue(func() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil
})
